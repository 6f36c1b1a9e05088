"""What several tasks need."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..errors import InputError


def per_example(values: Tensor) -> Tensor:
    """``(B,)``: the mean of ``(B, ...)`` over all but the first axis."""
    return values.flatten(1).mean(dim=1) if values.ndim > 1 else values


def flat_mean(values: Tensor) -> Tensor:
    """``(B, K)``: the mean of ``(B, K, ...)`` over all but the first two axes."""
    return values.flatten(2).mean(dim=2) if values.ndim > 2 else values


def check_shape(target: Tensor, expected: Tensor) -> None:
    """Refuse targets of another shape than what is predicted.

    Raises:
        InputError: They are.
    """
    if target.shape != expected.shape:
        raise InputError(
            f"target must be {tuple(expected.shape)} as what is predicted, got {tuple(target.shape)}; "
            "reshape it in the datamodule"
        )


def written(numbers: Mapping[str, Tensor]) -> dict[str, list[Any]]:
    """Numbers ``(B,)`` as columns of a table: six digits behind the point."""
    return {name: [f"{value:.6f}" for value in values.tolist()] for name, values in numbers.items()}
