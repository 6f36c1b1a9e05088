"""Several labels, each yes or no."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from ..contracts import Example, Prediction
from .shared import check_shape, distinct, written


@dataclass(kw_only=True, eq=False)
class MultilabelPrediction(Prediction):
    """Each of ``K`` labels, yes or no.

    Attributes:
        logits: ``(B, K)`` float, the log-odds of each label.
    """

    logits: Tensor
    task: ClassVar[str] = "multilabel"
    default_metrics: ClassVar[dict[str, str]] = {"f1": "F1Score", "map": "AveragePrecision"}

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        return cls(logits=outputs)

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        return {"task": cls.task, "num_labels": num_outputs}

    def check(self, target: Tensor) -> None:
        """Refuse targets that are not a row of labels for each example."""
        check_shape(target, self.logits)

    @property
    def num_outputs(self) -> int:
        """``K``, the number of labels."""
        return self.logits.shape[1]

    @property
    def preds(self) -> Tensor:
        """``(B, K)`` float32: the probability of each label."""
        return self.logits.float().sigmoid()

    def for_metrics(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.preds, target.long()

    def for_criterion(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits, target.float()

    def nll(self, target: Tensor) -> Tensor:
        """``(B,)`` float32, the mean over the labels."""
        losses = functional.binary_cross_entropy_with_logits(
            self.logits.float(), target.float(), reduction="none"
        )
        return losses.mean(dim=1)

    def error(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: how far the probabilities are from the labels, on average."""
        return (self.preds - target.float()).abs().mean(dim=1)

    @property
    def uncertainty(self) -> Tensor:
        probs = torch.stack([self.preds, 1 - self.preds])
        return -torch.special.xlogy(probs, probs).sum(dim=0).mean(dim=1) / math.log(2)

    def captions(self, example: Example, names: Sequence[str]) -> list[str]:
        def labels(rows: Tensor) -> list[str]:
            return [", ".join(names[i] for i, on in enumerate(row) if on) or "none" for row in rows.tolist()]

        predicted = labels(self.preds > 0.5)
        true = labels(example.target > 0.5) if example.target is not None else []
        pairs = zip([f"true {text}\n" for text in true] or [""] * len(self), predicted, strict=True)
        return [f"{start}predicted {text}" for start, text in pairs]

    def columns(self, names: Sequence[str], target: Tensor | None = None) -> dict[str, list[Any]]:
        """The probability of each label."""
        names = distinct(names)
        true = (
            {}
            if target is None
            else dict(zip((f"true {name}" for name in names), target.T.tolist(), strict=True))
        )
        return true | written(dict(zip(names, self.preds.T, strict=True)))
