"""One of two classes, from one output."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from ..contracts import Prediction
from .multiclass import MulticlassPrediction
from .shared import check_shape


@dataclass(kw_only=True, eq=False)
class BinaryPrediction(MulticlassPrediction):
    """Class 1 against class 0, of a model with one output.

    Attributes:
        logits: ``(B,)`` float, the log-odds of class 1.

    Raises:
        ValueError: ``logits`` does not have one dimension.
    """

    task: ClassVar[str] = "binary"

    def __post_init__(self) -> None:
        if self.logits.ndim != 1:
            raise ValueError(f"logits must be (B,), got {tuple(self.logits.shape)}; squeeze the last axis")
        Prediction.__post_init__(self)

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        return cls(logits=outputs.squeeze(1))

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        return {"task": cls.task, "num_classes": num_outputs}

    @cached_property
    def log_probs(self) -> Tensor:
        """``(B, 2)`` float32 logarithms of ``probs``."""
        logits = self.logits.float()
        return functional.logsigmoid(torch.stack([-logits, logits], dim=1))

    def flat(self) -> "BinaryPrediction":
        """Itself."""
        return self

    @property
    def preds(self) -> Tensor:
        """``(B,)`` float32: the probability of class 1."""
        return self.probs[:, 1]

    def check(self, target: Tensor) -> None:
        """Refuse targets that are not one number for each prediction."""
        check_shape(target, self.logits)

    def for_metrics(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.preds, target.long()

    def for_criterion(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits, target.float()

    def nll(self, target: Tensor) -> Tensor:
        logits = self.logits.float()
        return functional.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")

    def error(self, target: Tensor) -> Tensor:
        return super().error(target.long())
