"""What several tasks need."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError

FIXED = ("path", "image", "index", "true", "class", "probability", "entropy")  # columns of tables


def per_example(values: Tensor) -> Tensor:
    """``(B,)``: the mean of ``(B, ...)`` over all but the first axis."""
    return values.flatten(1).mean(dim=1) if values.ndim > 1 else values


def known_mean(values: Tensor, is_known: Tensor) -> Tensor:
    """``(B,)``: the mean of ``(B, ...)`` over what is known; 0 where nothing is."""
    values = values.where(is_known, 0)
    if values.ndim < 2:
        return values
    return values.flatten(1).sum(dim=1) / is_known.flatten(1).sum(dim=1).clamp_min(1)


def shares(classes: Tensor, num_classes: int) -> Tensor:
    """``(B, K)`` float32: the share of each class in ``(B, ...)`` int64 class indices.

    >>> shares(torch.tensor([[0, 2, 2, 2]]), 3)
    tensor([[0.2500, 0.0000, 0.7500]])
    """
    rows = torch.arange(len(classes), device=classes.device)[:, None] * num_classes
    counts = torch.bincount((classes.flatten(1) + rows).flatten(), minlength=len(classes) * num_classes)
    return counts.view(-1, num_classes) / classes[0].numel() if len(classes) else counts.view(0, num_classes)


def distinct(names: Sequence[str]) -> list[str]:
    """Names of columns; a name that another column of the table has gets its number.

    >>> distinct(["cat", "class", "cat"])
    ['cat', 'class (1)', 'cat (2)']
    """
    columns: list[str] = []
    for number, name in enumerate(names):
        is_taken = name in FIXED or name in columns or name.startswith("true ")
        columns.append(f"{name} ({number})" if is_taken else name)
    return columns


def check_shape(target: Tensor, expected: Tensor) -> None:
    """Refuse targets that do not have the shape of the prediction.

    Raises:
        InputError: The shapes differ.
    """
    if target.shape != expected.shape:
        raise InputError(
            f"target must be {tuple(expected.shape)} to match the prediction, got {tuple(target.shape)}; "
            "reshape it in the datamodule"
        )


def written(numbers: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    """Numbers ``(B,)`` as columns of a table, with six decimal places."""
    return {name: [f"{value:.6f}" for value in values.tolist()] for name, values in numbers.items()}
