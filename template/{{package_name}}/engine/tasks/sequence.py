"""Sequences that a network writes, such as texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..contracts import Example, Prediction
from ..errors import InputError


@dataclass(kw_only=True, eq=False)
class SequencePrediction(Prediction):
    """Tokens; 0 ends a sequence: neither it nor what follows counts.

    A target is ``(B, U)`` int64: tokens that end in the same way, or with -100 (``IGNORED``). Metrics get
    both as texts, a number for each token: ``WordErrorRate`` is the error rate of tokens, while a metric of
    characters would count digits.

    Attributes:
        tokens: ``(B, V)`` int64. ``V`` is 0 if nothing was written, as in training by a network that writes
            in evaluation only: such a batch enters no metric.

    Raises:
        ValueError: ``tokens`` does not have two dimensions, or is not int64.

    Example:
        >>> prediction = SequencePrediction(tokens=torch.tensor([[3, 2, 0, 0], [5, 4, 3, 0]]))
        >>> prediction.error(torch.tensor([[3, 2, 0, -100], [4, 3, 2, 0]]))
        tensor([0.0000, 0.6667])
    """

    tokens: Tensor
    task: ClassVar[str] = "sequence"
    default_metrics: ClassVar[dict[str, str]] = {"error_rate": "WordErrorRate"}

    def __post_init__(self) -> None:
        if self.tokens.ndim != 2 or self.tokens.dtype != torch.int64:
            got = f"{tuple(self.tokens.shape)} {self.tokens.dtype}"
            raise ValueError(f"tokens must be (B, V) int64, got {got}; take the argmax of logits")
        super().__post_init__()

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        return cls(tokens=outputs)

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        return {}

    def check(self, target: Tensor) -> None:
        """Refuse targets that are not sequences of tokens."""
        if target.ndim != 2 or target.is_floating_point():
            raise InputError(
                f"target must be ({len(self)}, U) tokens beside predicted sequences, got "
                f"{tuple(target.shape)} {target.dtype}; use data with such targets, as TextPairs has"
            )

    @property
    def preds(self) -> Tensor:
        """``(B, V)`` int64: the tokens."""
        return self.tokens

    def for_metrics(self, target: Tensor) -> tuple[list[str], list[str]] | None:
        if not self.tokens.shape[1]:
            return None
        ours, theirs = ([" ".join(map(str, row)) for row in _rows(ids)] for ids in (self.tokens, target))
        return ours, theirs

    def error(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: the edit distance divided by the number of tokens of the target."""
        return edit_distance(self.tokens, target) / _lengths(target).clamp_min(1)

    def captions(self, example: Example, names: Sequence[str]) -> list[str]:
        predicted = [f"predicted {text}" for text in _texts(self.tokens, names)]
        if example.target is None:
            return predicted
        true = _texts(example.target, names)
        return [f"true {text}\n{line}" for text, line in zip(true, predicted, strict=True)]

    def columns(self, names: Sequence[str], target: Tensor | None = None) -> dict[str, list[Any]]:
        """The sequence: its tokens, joined by their names."""
        true = {} if target is None else {"true": _texts(target, names)}
        return true | {"predicted": _texts(self.tokens, names)}


def edit_distance(tokens: Tensor, target: Tensor) -> Tensor:
    """How many tokens to insert, delete or replace to turn one sequence into the other.

    Args:
        tokens: ``(B, V)`` int64, each up to the first 0 or negative number.
        target: ``(B, U)`` int64, likewise.

    Returns:
        ``(B,)`` int64.

    References:
        Wagner and Fischer, The string-to-string correction problem, 1974; all columns of a row at once.
    """
    places = torch.arange(tokens.shape[1] + 1, device=tokens.device)
    ends, row = _lengths(target), places.expand(len(tokens), -1)
    for place in range(target.shape[1]):
        replaced = row[:, :-1] + (tokens != target[:, place, None])
        kept = torch.cat([row[:, :1] + 1, torch.minimum(row[:, 1:] + 1, replaced)], dim=1)
        put_in = (kept - places).cummin(dim=1).values + places
        row = torch.where(place < ends[:, None], put_in, row)
    return row.gather(1, _lengths(tokens)[:, None]).squeeze(1)


def _lengths(ids: Tensor) -> Tensor:
    """``(B,)`` int64: tokens before the end."""
    return ((ids <= 0).cumsum(dim=1) == 0).sum(dim=1)


def _rows(ids: Tensor) -> list[list[int]]:
    return [row[:length] for row, length in zip(ids.tolist(), _lengths(ids).tolist(), strict=True)]


def _texts(ids: Tensor, names: Sequence[str]) -> list[str]:
    known = dict(enumerate(names))
    return ["".join(known.get(token, f" {token}") for token in row).strip() for row in _rows(ids)]
