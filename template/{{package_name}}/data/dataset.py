"""Images in memory or on a memory-mapped file, indexed by whole batches."""

from collections.abc import Mapping, Sequence
from copy import copy

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError
from ..structs import Example


class ImageTensors(Dataset[Example]):
    """A set of decoded images; a batch is one indexing operation.

    Args:
        images: ``(N, C, H, W)`` uint8.
        targets: ``(N,)`` int64 class indices in ``[0, num_classes)``, or ``None``.
        num_classes: Number of classes.
        index: ``(M,)`` int64 positions that belong to this set; ``None`` for all.

    Raises:
        InputError: There are no images, or a target is out of range.
    """

    def __init__(
        self, images: Tensor, targets: Tensor | None, num_classes: int, index: Tensor | None = None
    ) -> None:
        if not len(images):
            raise InputError("expected images, got an empty set; look into the data folder")
        if targets is not None:
            if len(targets) != len(images):
                raise InputError(f"expected a target for each of {len(images)} images, got {len(targets)}")
            if (wrong := ((targets < 0) | (targets >= num_classes)).nonzero()).numel():
                row = int(wrong[0])
                raise InputError(
                    f"expected targets in [0, {num_classes}), got {int(targets[row])} at example {row}; "
                    "correct the label or the number of classes"
                )
        self.images, self.targets, self.num_classes = images, targets, num_classes
        self.index = torch.arange(len(images)) if index is None else index

    def subset(self, positions: Tensor) -> "ImageTensors":
        """The examples at ``positions``, ``(M,)`` int64, of this set; shares its images."""
        subset = copy(self)
        subset.index = self.index[positions]
        return subset

    def to(self, device: torch.device) -> "ResidentImages":
        """A set with copies of its own images and targets on ``device``."""
        targets = None if self.targets is None else self.targets[self.index].to(device)
        return ResidentImages(
            self.images[self.index].to(device), targets, self.num_classes, self.index.to(device)
        )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, positions: Sequence[int]) -> Example:
        rows = self.index[torch.as_tensor(positions)]
        target = None if self.targets is None else self.targets[rows]
        # On a CPU it is five times as fast as images[rows].
        return Example(image=self.images.index_select(0, rows), target=target, index=rows)


class ResidentImages(ImageTensors):
    """A set whose images lie on an accelerator, in the order of ``index``."""

    def __getitem__(self, positions: Sequence[int]) -> Example:
        rows = torch.as_tensor(positions, device=self.images.device)
        target = None if self.targets is None else self.targets[rows]
        return Example(image=self.images[rows], target=target, index=self.index[rows])


def split_rows(size: int, parts: Mapping[str, float], seed: int) -> dict[str, Tensor]:
    """Seeded, disjoint parts of ``range(size)``; what is left over is ``"train"``.

    Args:
        size: Number of examples.
        parts: Name to share in ``(0, 1)``, or to a number of examples from 1.
        seed: Seed of the permutation.

    Returns:
        Name to ``(M,)`` int64 sorted positions.

    Raises:
        InputError: A part, or what is left for training, would be empty.

    Example:
        >>> {name: len(rows) for name, rows in split_rows(10, {"val": 0.2, "hard": 3}, seed=0).items()}
        {'val': 2, 'hard': 3, 'train': 5}
    """
    counts = {name: round(part * size) if 0 < part < 1 else int(part) for name, part in parts.items()}
    counts["train"] = size - sum(counts.values())
    for name, count in counts.items():
        if count < 1:
            raise InputError(
                f"expected at least one example in {name!r}, got {count} of {size} by the parts {parts}; "
                "change the shares"
            )
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    pieces = order.split(list(counts.values()))
    return {name: piece.sort().values for name, piece in zip(counts, pieces, strict=True)}
