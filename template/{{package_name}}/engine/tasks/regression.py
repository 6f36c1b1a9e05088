"""Numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor

from ..contracts import Example, Prediction
from .shared import check_shape, distinct, per_example, written


@dataclass(kw_only=True, eq=False)
class RegressionPrediction(Prediction):
    """Numbers, whose errors are taken to be normal with unit variance.

    Attributes:
        values: ``(B, D)`` float.

    Raises:
        ValueError: ``values`` has fewer than two dimensions.
    """

    values: Tensor
    task: ClassVar[str] = "regression"
    default_metrics: ClassVar[dict[str, str]] = {"mae": "MeanAbsoluteError", "r2": "R2Score"}

    def __post_init__(self) -> None:
        if self.values.ndim < 2:
            raise ValueError(f"values must be (B, D), got {tuple(self.values.shape)}; unsqueeze one")
        super().__post_init__()

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        return cls(values=outputs)

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        return {"num_outputs": num_outputs} if num_outputs > 1 else {}

    def check(self, target: Tensor) -> None:
        """Refuse targets of another shape: ``(B,)`` beside ``(B, 1)`` would be broadcast to ``(B, B)``."""
        check_shape(target, self.values)

    @property
    def num_outputs(self) -> int:
        """``D``, the number of values."""
        return math.prod(self.values.shape[1:])

    @property
    def preds(self) -> Tensor:
        """``(B, D)`` float32, ``(B,)`` if ``D`` is 1."""
        return self.values.float().squeeze(1) if self.num_outputs == 1 else self.values.float()

    def for_metrics(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.preds, target.float().view_as(self.preds)

    def for_criterion(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.values, target.float()

    def nll(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: half the squared error, averaged over the values; a constant is left out."""
        return per_example((self.values.float() - target.float()).square() / 2)

    def error(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: the absolute error, averaged over the values."""
        return per_example((self.values.float() - target.float()).abs())

    def captions(self, example: Example, names: Sequence[str]) -> list[str]:
        def numbers(rows: Tensor) -> list[str]:
            return [", ".join(f"{value:.4g}" for value in row) for row in rows.flatten(1).tolist()]

        true = [f"true {text}\n" for text in numbers(example.target)] if example.target is not None else []
        pairs = zip(true or [""] * len(self), numbers(self.values), strict=True)
        return [f"{start}predicted {text}" for start, text in pairs]

    def columns(self, names: Sequence[str], target: Tensor | None = None) -> dict[str, list[Any]]:
        """Each value."""
        names = distinct(names)
        rows = [] if target is None else target.flatten(1).T
        true = dict(zip((f"true {name}" for name in names), rows, strict=False))
        return written(true | dict(zip(names, self.values.flatten(1).T, strict=True)))
