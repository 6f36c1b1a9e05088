"""What ``forward`` returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..engine.contracts import AnyPrediction


@dataclass(kw_only=True, eq=False)
class Prediction(AnyPrediction):
    """Scores that a classifier assigns to a batch of examples.

    All derived quantities are computed in float32, whatever the precision of ``logits``.

    Attributes:
        logits: ``(B, K)`` float, unnormalised log-probabilities.

    Raises:
        ValueError: ``logits`` does not have two dimensions.

    Example:
        >>> prediction = Prediction(logits=torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
        >>> prediction.classes, prediction.uncertainty
        (tensor([0, 1]), tensor([1.0000, 0.8399]))
    """

    logits: Tensor

    def __post_init__(self) -> None:
        if self.logits.ndim != 2:
            raise ValueError(
                f"logits must be (B, K), got {tuple(self.logits.shape)}; unsqueeze a single example"
            )
        super().__post_init__()

    @cached_property
    def log_probs(self) -> Tensor:
        """``(B, K)`` float32 logarithms of ``probs``."""
        return self.logits.float().log_softmax(dim=1)

    @property
    def probs(self) -> Tensor:
        """``(B, K)`` float32 in ``[0, 1]``; rows sum to 1."""
        return self.log_probs.exp()

    @property
    def classes(self) -> Tensor:
        """``(B,)`` int64, the most probable class; the lowest index wins a tie."""
        return self.log_probs.argmax(dim=1)

    @property
    def confidence(self) -> Tensor:
        """``(B,)`` float32, the probability of ``classes``."""
        return self.probs.amax(dim=1)

    @property
    def entropy(self) -> Tensor:
        """``(B,)`` float32 in ``[0, log K]``, in nats."""
        log_probs = self.log_probs
        return -torch.special.xlogy(log_probs.exp(), log_probs.exp()).sum(dim=1)

    @property
    def uncertainty(self) -> Tensor:
        """``(B,)`` float32 in ``[0, 1]``: the entropy as a share of the largest possible one."""
        return self.entropy / math.log(max(self.num_classes, 2))

    @property
    def num_classes(self) -> int:
        """``K``, the number of classes."""
        return self.log_probs.shape[1]

    @property
    def preds(self) -> Tensor:
        """``(B, K)`` float32: ``probs``, the form in which torchmetrics takes predictions."""
        return self.probs

    def columns(self, class_names: Sequence[str]) -> dict[str, list[Any]]:
        """What ``predict`` writes: class, its probability, entropy in nats, all probabilities."""
        of_class = dict(zip(class_names, self.probs.T, strict=True))
        numbers = {"probability": self.confidence, "entropy": self.entropy, **of_class}
        return {"class": [class_names[label] for label in self.classes.tolist()]} | {
            name: [f"{value:.6f}" for value in values.tolist()] for name, values in numbers.items()
        }


@dataclass(kw_only=True, eq=False)
class BinaryPrediction(Prediction):
    """Scores of a model with one output: class 1 against class 0.

    Attributes:
        logits: ``(B,)`` float, the log-odds of class 1.

    Raises:
        ValueError: ``logits`` does not have one dimension.
    """

    def __post_init__(self) -> None:
        if self.logits.ndim != 1:
            raise ValueError(f"logits must be (B,), got {tuple(self.logits.shape)}; squeeze the last axis")
        AnyPrediction.__post_init__(self)

    @cached_property
    def log_probs(self) -> Tensor:
        """``(B, 2)`` float32 logarithms of ``probs``."""
        logits = self.logits.float()
        return torch.nn.functional.logsigmoid(torch.stack([-logits, logits], dim=1))

    @property
    def preds(self) -> Tensor:
        """``(B,)`` float32: the probability of class 1, as torchmetrics takes it."""
        return self.probs[:, 1]
