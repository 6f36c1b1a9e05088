"""Splits a set of examples by a seed."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InputError

# Names of the splits in files, folders and columns, in lower or upper case.
SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLITS = tuple(SPELLINGS)
# For folders and tables of images, where ``dev`` is not a split.
OF_IMAGES = {split: tuple(name for name in names if name != "dev") for split, names in SPELLINGS.items()}


def split_named(name: str) -> str | None:
    """``"train"``, ``"val"`` or ``"test"`` by a usual spelling; ``None`` for other names.

    >>> split_named("Validation"), split_named("all")
    ('val', None)
    """
    return next((split for split, names in SPELLINGS.items() if name.strip().lower() in names), None)


def shares_by_name(val_split: float | Mapping[str, float]) -> dict[str, float]:
    """The shares held out for validation, by name; a single one is named ``val``.

    >>> shares_by_name(0.1), shares_by_name({"easy": 0.1, "hard": 20})
    ({'val': 0.1}, {'easy': 0.1, 'hard': 20})
    """
    return dict(val_split) if isinstance(val_split, Mapping) else {"val": val_split}


def divide_rows(
    rows: Tensor, parts: Mapping[str, float], seed: int, labels: Tensor | None = None
) -> dict[str, Tensor]:
    """Parts of ``rows``, ``(N,)`` int64, with the rest as ``"train"``; see ``split_rows``.

    ``labels`` are the classes of these rows, ``(N,)`` int64.
    """
    return {name: rows[part] for name, part in split_rows(len(rows), parts, seed, labels).items()}


def split_rows(
    size: int, parts: Mapping[str, float], seed: int, labels: Tensor | None = None
) -> dict[str, Tensor]:
    """Seeded, disjoint parts of ``range(size)``; the rest is ``"train"``.

    Args:
        size: Number of examples.
        parts: Name to share in ``(0, 1)``, or to a number of examples from 1.
        seed: Seed of the permutation.
        labels: ``(size,)`` int64 classes: a part gets the same share of each; ``None`` ignores classes.

    Returns:
        Name to ``(M,)`` int64 sorted positions.

    Raises:
        InputError: A part is neither a share nor a whole number, or a part or the rest would be empty.

    Example:
        >>> {name: len(rows) for name, rows in split_rows(10, {"val": 0.2, "hard": 3}, seed=0).items()}
        {'val': 2, 'hard': 3, 'train': 5}
    """
    if odd := [part for part in parts.values() if part >= 1 and part != int(part)]:
        raise InputError(f"expected a share below 1 or a whole number of examples, got {odd[0]}")
    counts = {name: round(part * size) if 0 < part < 1 else int(part) for name, part in parts.items()}
    counts["train"] = size - sum(counts.values())
    for name, count in counts.items():
        if count < 1:
            raise InputError(
                f"expected at least one example in {name!r}, got {count} of {size} by the parts {parts}; "
                "change the shares"
            )
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    if labels is not None:
        order = order[_by_class(labels[order], list(counts.values()))]
    pieces = order.split(list(counts.values()))
    return {name: piece.sort().values for name, piece in zip(counts, pieces, strict=True)}


def _by_class(labels: Tensor, counts: Sequence[int]) -> Tensor:
    """A permutation of positions whose consecutive pieces of sizes ``counts`` each have every class's share.

    The share is of what earlier pieces left, rounded by the method of the largest remainder.
    """
    left, pieces = torch.arange(len(labels)), []
    for count in counts:
        _, inverse, sizes = labels[left].unique(return_inverse=True, return_counts=True)
        shares = sizes.double() * count / len(left)
        taken = shares.long()
        missing = count - int(taken.sum())
        taken[(shares - taken).argsort(descending=True, stable=True)[:missing]] += 1
        rank = torch.empty_like(left)  # position of each example within its class
        rank[inverse.argsort(stable=True)] = torch.cat([torch.arange(size) for size in sizes.tolist()])
        is_taken = rank < taken[inverse]
        pieces.append(left[is_taken])
        left = left[~is_taken]
    return torch.cat(pieces)
