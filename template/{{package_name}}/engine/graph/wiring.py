"""Runs a graph: from the fields of an example to all outputs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Example, Prediction
from ..errors import InputError
from ..errors.tracebacks import describe_error
from ..module import Part
from .expressions import DETACH, WHOLE, Call, Node, needed_for, of_source, read_graph
from .losses import Term, check_terms, value_of


class Wiring:
    """The order in which networks are called, and what each is called with.

    Args:
        graph: See ``read_graph``.
        networks: The names of all networks.

    Attributes:
        outputs: The names of all outputs.
        taken: The outputs and fields that networks take.
        shapes: The shape of one example of each output and field seen so far, such as ``1 x 8 x 8``.
        is_seen: Whether the shapes of all outputs are known.

    Raises:
        InputError: See ``read_graph``.
    """

    def __init__(self, graph: Mapping[str, str | Mapping[str, str]], networks: Collection[str]) -> None:
        self.nodes: Sequence[Node] = read_graph(graph, networks)
        self.outputs = list(dict.fromkeys(name for node in self.nodes for name in node.names))
        self.taken = {name for node in self.nodes for name in node.call.names()}
        self.shapes: dict[str, str] = {}
        self.is_seen = False

    def measured_by(self, metrics: Mapping[str, Any]) -> list[str]:
        """The outputs that metrics name under ``fields``, with metrics as a config gives them."""
        fields = [spec.get("fields") or {} for spec in metrics.values() if isinstance(spec, dict)]
        measured = {name for each in fields for name in each.values()}
        return [name for name in self.outputs if name in measured]

    def check_ends(self, ends: Collection[str], terms: Mapping[str, Term], parts: Mapping[str, Part]) -> None:
        """Refuse outputs that nothing takes, and losses and optimizers that do not match.

        Args:
            ends: Outputs that are predicted or measured.
            terms: Losses by name.
            parts: Optimizers by name; empty if one trains all.

        Raises:
            InputError: An output is not taken, or a loss and an optimizer do not match.
        """
        taken = {*self.taken, *ends, *(name for term in terms.values() for name in term.names)}
        for node in self.nodes:
            if not taken & {*node.names}:
                raise InputError(
                    f"graph: {node.text}: nothing takes {node.names[0]}; give it to a network, a loss, the "
                    "prediction or a metric, or leave it out"
                )
        check_terms(terms, parts)

    def run(
        self,
        networks: nn.ModuleDict,
        example: Example,
        only: Collection[str] | None = None,
        source: str = "",
    ) -> dict[str, Any]:
        """All outputs, and the fields as networks take them: uint8 is scaled to ``[0, 1]``.

        Args:
            networks: Networks by name.
            example: The batch.
            only: Outputs to compute; ``None`` for all.
            source: The data set that the batch comes from.

        Raises:
            InputError: A field is missing or has the name of an output, or a network fails; see the message.
        """
        values = fields_of(example)
        if taken := [name for name in self.outputs if name in values]:
            raise InputError(f"graph: {taken[0]} is a field of {type(example).__name__}; rename the output")
        nodes = of_source(self.nodes, source)
        for node in nodes if only is None else needed_for(only, nodes):
            made = _call(node.call, node, networks, values)
            if len(node.names) == 1:
                values[node.names[0]] = made
                continue
            parts = list(made.values()) if isinstance(made, Mapping) else made
            if not isinstance(parts, Sequence) or len(parts) != len(node.names):
                got = f"{len(parts)}" if isinstance(parts, Sequence) else f"a {type(made).__name__}"
                raise InputError(f"graph: {node.text}: expected {len(node.names)} outputs, got {got}")
            values |= dict(zip(node.names, parts, strict=True))
        if not self.is_seen:
            self.shapes = {name: _shape_of(value) for name, value in values.items()} | self.shapes
            self.is_seen = all(name in self.shapes for name in self.outputs)
        return values


def fields_of(example: Example) -> dict[str, Any]:
    """The fields of an example as networks take them, and the example itself."""
    dtype = torch.get_default_dtype()  # the dtype of the weights, also in half precision
    pixels = {
        name: value.to(dtype) / 255 for name, value in example.tensors.items() if value.dtype == torch.uint8
    }
    return {**example.tensors, **pixels, WHOLE: example}


def _call(call: Call, node: Node, networks: nn.ModuleDict, values: Mapping[str, Any]) -> Any:
    def value(part: Call | str) -> Any:
        if isinstance(part, Call):
            return _call(part, node, networks, values)
        return value_of(part, values, f"graph: {node.text}")

    args, kwargs = [value(part) for part in call.args], {key: value(part) for key, part in call.kwargs}
    try:
        if call.network == DETACH:
            (tensor,) = args
            return tensor.detach()
        made = networks[call.network](*args, **kwargs)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, InputError | torch.OutOfMemoryError):
            raise
        given = ", ".join(
            f"{tuple(one.shape)}" for one in [*args, *kwargs.values()] if isinstance(one, Tensor)
        )
        raise InputError(
            f"graph: {node.text}: {call.network} cannot take {given or 'this'}: {describe_error(error)}"
        ) from error
    if isinstance(made, Prediction):  # from the model of a run, see ``Trained``
        return made.tensors if len(made.tensors) > 1 else next(iter(made.tensors.values()))
    return made


def _shape_of(value: Any) -> str:
    is_batch = isinstance(value, Tensor) and value.ndim > 0
    return " x ".join(map(str, value.shape[1:])) or "1" if is_batch else ""
