"""Losses by name, each computed from named outputs and fields."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import IGNORED
from ..errors import InputError
from ..errors.tracebacks import describe_error
from ..module import Part
from ..tasks.shared import known_mean


@dataclass(kw_only=True)
class Term:
    """A term of the loss.

    Attributes:
        criterion: Computes a scalar from its inputs.
        inputs: Names of outputs or fields, in the order of the criterion's arguments, or by argument.
        weight: Factor in the total; a term of weight 0 is logged only.
        source: The data set, or several, whose batches it is for; ``None`` for all.
    """

    criterion: nn.Module
    inputs: list[str] | dict[str, str]
    weight: float = 1.0
    source: str | list[str] | None = None

    @property
    def sources(self) -> list[str]:
        """The data sets whose batches it is for; empty for all."""
        return [self.source] if isinstance(self.source, str) else self.source or []

    @property
    def names(self) -> list[str]:
        """The outputs and fields that it takes."""
        return [*self.inputs.values()] if isinstance(self.inputs, dict) else self.inputs

    def __call__(self, name: str, criterion: nn.Module, values: Mapping[str, Any]) -> Tensor:
        """The value of ``criterion``, computed in float32 or more.

        Raises:
            InputError: An input is missing, or the criterion fails.
        """
        where = f"losses: {name}"
        inputs = self.inputs if isinstance(self.inputs, dict) else dict(enumerate(self.inputs))
        given = {key: _precise(value_of(one, values, where)) for key, one in inputs.items()}
        by_place = [value for key, value in given.items() if isinstance(key, int)]
        by_name = {key: value for key, value in given.items() if isinstance(key, str)}
        with _naming(f"{where}: {type(criterion).__name__} of {', '.join(self.names)}"):
            return criterion(*by_place, **by_name)


def check_terms(terms: Mapping[str, Term], parts: Mapping[str, Part]) -> None:
    """Refuse losses that no optimizer follows, and optimizers that follow an unknown loss.

    Args:
        terms: Losses by name.
        parts: Optimizers by name; empty if one trains all.

    Raises:
        InputError: There is such a loss (with a weight that is not 0) or optimizer, or no loss at all.
    """
    if not terms:
        raise InputError("losses: expected at least one, got none")
    followed = [name for key, part in parts.items() for name in part.loss or [key]]
    if unknown := [name for name in followed if name not in terms]:
        raise InputError(f"optimizers: no such loss: {unknown[0]}; there are {', '.join(terms)}")
    idle = [name for name, term in terms.items() if term.weight and name not in followed]
    if parts and idle:
        raise InputError(
            f"losses: no optimizer follows {idle[0]}; name it under loss of an optimizer, or give it weight 0"
        )


def compute_terms(terms: Mapping[str, Term], values: Mapping[str, Any]) -> dict[str, Tensor]:
    """The terms of a batch by name, ``()`` each.

    Args:
        terms: Losses by name.
        values: Outputs and fields.

    Raises:
        InputError: A term cannot be computed, or is not a scalar.
    """
    found = {name: term(name, term.criterion, values) for name, term in terms.items()}
    if wrong := [name for name, value in found.items() if not isinstance(value, Tensor) or value.ndim]:
        raise InputError(
            f"losses: {wrong[0]}: expected a scalar, got something else; let its criterion take the mean"
        )
    return found


def example_losses(terms: Mapping[str, Term], values: Mapping[str, Any] | None) -> Tensor:
    """``(B,)``: the loss of each example, summed over the terms whose criterion has a ``reduction``.

    Raises:
        InputError: No criterion has one, or the outputs are no longer known (``values`` is ``None``).
    """
    rows: list[Tensor] = []
    for name, term in terms.items() if values is not None else ():
        if "reduction" in vars(term.criterion):
            criterion = copy(term.criterion)
            vars(criterion)["reduction"] = "none"
            losses = term(name, criterion, values or {})
            rows.append(term.weight * known_mean(losses, _counted(losses, term, values or {})))
    if not rows:
        raise InputError("losses: expected one for each example, got none here; rank examples by error")
    return torch.stack(rows).sum(dim=0)


def value_of(name: str, values: Mapping[str, Any], where: str) -> Any:
    """An output or a field.

    Raises:
        InputError: There is no such output or field.
    """
    if name not in values:
        raise InputError(f"{where}: no such output or field: {name}; there are {', '.join(values)}")
    return values[name]


def _counted(losses: Tensor, term: Term, values: Mapping[str, Any]) -> Tensor:
    """Which losses of pixels or tokens count: a bool like ``losses``, False where a target is ignored."""
    inputs = [value for name in term.names if isinstance(value := values[name], Tensor)]
    classes = [one for one in inputs if one.shape == losses.shape and not one.is_floating_point()]
    return torch.stack([torch.ones_like(losses, dtype=torch.bool), *(one != IGNORED for one in classes)]).all(
        0
    )


def _precise(value: Any) -> Any:
    """Promote floats to at least float32, since a model may compute in half precision."""
    is_float = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(torch.promote_types(value.dtype, torch.float32)) if is_float else value


@contextmanager
def _naming(where: str) -> Iterator[None]:
    try:
        yield
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, InputError | torch.OutOfMemoryError):
            raise
        raise InputError(f"{where}: {describe_error(error)}") from error
