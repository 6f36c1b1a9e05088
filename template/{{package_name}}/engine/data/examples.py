"""A set of examples in memory or on a memory-mapped file, indexed by whole batches."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..contracts import AnyExample
from ..errors import InputError

E = TypeVar("E", bound=AnyExample)


class ExampleSet(Dataset[E], Generic[E]):
    """A set that is itself one large batch; a batch of it is one indexing operation per field.

    Args:
        examples: All examples as one struct, whose tensors may lie on a memory-mapped file.
        rows: ``(M,)`` int64 rows of ``examples`` that belong to this set; ``None`` for all.

    Attributes:
        index: ``(M,)`` int64 positions by which augmentation draws and pictures name the examples.

    Raises:
        InputError: There are no examples.
    """

    def __init__(self, examples: E, rows: Tensor | None = None) -> None:
        if not len(examples):
            raise InputError("expected examples, got an empty set; look into the data folder")
        self.examples = examples
        self.rows = torch.arange(len(examples)) if rows is None else rows
        self.index = self.rows

    def subset(self, positions: Tensor) -> Self:
        """The examples at ``positions``, ``(M,)`` int64, of this set; shares its memory."""
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
    def nbytes(self) -> int:
        """Bytes of all that ``examples`` holds."""
        return sum(tensor.nbytes for tensor in self.examples.tensors.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Sequence[int]) -> E:
        chosen = torch.as_tensor(positions, device=self.rows.device)
        return replace(self.examples[self.rows[chosen]], index=self.index[chosen])


def check_classes(targets: Tensor, num_classes: int) -> None:
    """Refuse class indices out of ``[0, num_classes)``.

    Args:
        targets: ``(N,)`` int64.
        num_classes: Number of classes.

    Raises:
        InputError: One is out of range; the message names the first.
    """
    if (wrong := ((targets < 0) | (targets >= num_classes)).nonzero()).numel():
        row = int(wrong[0])
        raise InputError(
            f"expected targets in [0, {num_classes}), got {int(targets[row])} at example {row}; "
            "correct the label or the number of classes"
        )
