"""Seeded parts of a set of examples."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import InputError


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
