"""A set of examples in memory or in a memory-mapped file, indexed by whole batches."""

import zlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import fields, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..contracts import DataDescription, Example
from ..errors import InputError

E = TypeVar("E", bound=Example)
SAMPLE = 256  # examples whose content a fingerprint reads


class ExampleSet(Dataset[E], Generic[E]):
    """A set that is itself one large batch; a batch of it is one indexing operation per field.

    Args:
        examples: All examples as one struct, whose tensors may lie in a memory-mapped file.
        rows: ``(M,)`` int64 rows of ``examples`` that belong to this set; ``None`` for all.

    Attributes:
        index: ``(M,)`` int64 positions by which augmentation draws and pictures name the examples.

    Raises:
        InputError: There are no examples, or a field holds them in a list or array instead of a tensor.
    """

    def __init__(self, examples: E, rows: Tensor | None = None) -> None:
        _check_fields(examples)
        if not len(examples):
            raise InputError("expected examples, got an empty set; check the data folder")
        self.examples = examples
        self.rows = torch.arange(len(examples)) if rows is None else rows
        self.index = self.rows

    def subset(self, positions: Tensor) -> Self:
        """The examples at ``positions``, ``(M,)`` int64, in this set; shares its memory."""
        subset = copy(self)
        subset.rows, subset.index = self.rows[positions], self.index[positions]
        return subset

    def to(self, device: torch.device) -> Self:
        """A set of the same class with copies of its own examples on ``device``."""
        moved = copy(self)
        moved.examples = self.examples[self.rows].to(device)
        moved.rows = torch.arange(len(self), device=device)
        moved.index = self.index.to(device)
        return moved

    @property
    def targets(self) -> Tensor | None:
        """``(M, ...)`` targets of its own examples."""
        target = self.examples.target
        return None if target is None else target[self.rows]

    @property
    def lengths(self) -> Tensor | None:
        """``(M,)`` lengths of its own examples, by which batches are formed; ``None`` if all are equal."""
        return None

    @property
    def nbytes(self) -> int:
        """Bytes of its own examples."""
        return self.examples.nbytes * len(self) // len(self.examples)

    def fingerprint(self) -> str:
        """Identifies the examples: their number, and a checksum of all rows and of up to 256 examples."""
        chosen = self.rows[torch.linspace(0, len(self) - 1, min(len(self), SAMPLE)).long()]
        checksum = zlib.crc32(self.rows.cpu().numpy().tobytes())
        for tensor in self.examples.tensors.values():
            sample = tensor.index_select(0, chosen).contiguous().cpu()
            checksum = zlib.crc32(sample.flatten().view(torch.uint8).numpy().tobytes(), checksum)
        return f"{len(self):,} examples ({checksum:08x})"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Sequence[int] | Tensor) -> E:
        chosen = torch.as_tensor(positions, device=self.rows.device)
        rows = self.rows[chosen]
        tensors = {name: tensor.index_select(0, rows) for name, tensor in self.examples.tensors.items()}
        return replace(self.examples, **tensors | {"index": self.index[chosen]})  # one copy, not two


def as_sets(
    found: Example | ExampleSet[Any] | Mapping[str, Example | ExampleSet[Any]] | None, name: str
) -> dict[str, ExampleSet[Any]]:
    """Sets by name, from one struct or set, which gets ``name``, from several by name, or from ``None``.

    Raises:
        InputError: ``found`` is something else.
    """
    if found is None:
        return {}
    named = found if isinstance(found, Mapping) else {name: found}
    for examples in named.values():
        if not isinstance(examples, Example | ExampleSet):
            got = type(examples).__name__
            raise InputError(f"load({name!r}): expected an Example or an ExampleSet, got a {got}")
    return {
        name: examples if isinstance(examples, ExampleSet) else ExampleSet(examples)
        for name, examples in named.items()
    }


def _check_fields(examples: Example) -> None:
    """Refuse a list or an array of examples: what is not a tensor would go whole into each batch."""
    size = len(examples) if examples.tensors else None
    for field in fields(examples):
        value = vars(examples)[field.name]
        if isinstance(value, list | tuple | np.ndarray) and size in (None, len(value)):
            raise InputError(
                f"{type(examples).__name__}.{field.name}: expected a tensor, got a {type(value).__name__}; "
                "convert it with torch.as_tensor"
            )


def describe_examples(examples: Example) -> DataDescription:
    """A description from the tensors: shapes of the inputs, and the number of outputs.

    Integer targets of one axis, or of three or more (masks), are class indices: the largest, plus one.
    Others have one output per value of an example.

    >>> describe_examples(Example(target=torch.tensor([0, 2, 1]))).num_outputs
    3
    """
    target = examples.target
    shapes = {name: shape for name, shape in examples.shapes.items() if name not in ("target", "index")}
    if target is None:
        return DataDescription(shapes=shapes)
    if not target.is_floating_point() and target.ndim != 2:
        return DataDescription(num_outputs=int(target.max()) + 1, shapes=shapes)
    return DataDescription(num_outputs=target[0].numel(), shapes=shapes)


def check_classes(targets: Tensor, num_classes: int) -> None:
    """Refuse class indices outside of ``[0, num_classes)``.

    Args:
        targets: ``(N,)`` int64.
        num_classes: Number of classes.

    Raises:
        InputError: An index is outside; the message names the first.
    """
    if (wrong := ((targets < 0) | (targets >= num_classes)).nonzero()).numel():
        row = int(wrong[0])
        raise InputError(
            f"expected targets in [0, {num_classes}), got {int(targets[row])} at example {row}; "
            "correct the label or the number of classes"
        )
