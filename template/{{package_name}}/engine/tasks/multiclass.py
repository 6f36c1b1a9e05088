"""One of several classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..contracts import IGNORED, DataDescription, Example, Prediction
from ..errors import InputError
from ..overlay import paint_classes, palette_images
from .shared import distinct, known_mean, per_example, shares, written


@dataclass(kw_only=True, eq=False)
class MulticlassPrediction(Prediction):
    """One of ``K`` classes for each example, or for each of its pixels or tokens.

    All derived quantities are computed in float32, whatever the precision of ``logits``. A target of -100
    (``IGNORED``) is not known: it counts in no loss, error, metric or caption.

    Attributes:
        logits: ``(B, K, ...)`` float, unnormalised log-probabilities.

    Raises:
        ValueError: ``logits`` has fewer than two dimensions.

    Example:
        >>> prediction = MulticlassPrediction(logits=torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
        >>> prediction.classes, prediction.uncertainty
        (tensor([0, 1]), tensor([1.0000, 0.8399]))
    """

    logits: Tensor
    task: ClassVar[str] = "multiclass"
    default_metrics: ClassVar[dict[str, str]] = {
        "accuracy": "Accuracy",
        "entropy": "Entropy",
        "uce": "UncertaintyCalibrationError",
        "ece": "CalibrationError",
    }

    def __post_init__(self) -> None:
        if self.logits.ndim < 2:
            raise ValueError(
                f"logits must be (B, K, ...), got {tuple(self.logits.shape)}; unsqueeze a single example"
            )
        super().__post_init__()

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        return cls(logits=outputs)

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        return {"task": cls.task, "num_classes": num_outputs, "ignore_index": IGNORED}

    def check(self, target: Tensor) -> None:
        """Refuse targets that are not one class index for each prediction."""
        expected = (self.logits.shape[0], *self.logits.shape[2:])
        if tuple(target.shape) != expected or target.is_floating_point():
            raise InputError(
                f"target must be {expected} class indices beside logits {tuple(self.logits.shape)}, got "
                f"{tuple(target.shape)} {target.dtype}; for labels or values subclass another prediction"
            )

    @cached_property
    def log_probs(self) -> Tensor:
        """``(B, K, ...)`` float32 logarithms of ``probs``."""
        return self.logits.float().log_softmax(dim=1)

    @property
    def probs(self) -> Tensor:
        """``(B, K, ...)`` float32 in ``[0, 1]``; they sum to 1 over the classes."""
        return self.log_probs.exp()

    @property
    def classes(self) -> Tensor:
        """``(B, ...)`` int64, the most probable class; the lowest index wins a tie."""
        return self.log_probs.argmax(dim=1)

    @property
    def confidence(self) -> Tensor:
        """``(B, ...)`` float32, the probability of ``classes``."""
        return self.probs.amax(dim=1)

    @property
    def entropy(self) -> Tensor:
        """``(B,)`` float32 in ``[0, log K]``, in nats; the mean over pixels or tokens."""
        return per_example(-torch.special.xlogy(self.probs, self.probs).sum(dim=1))

    @property
    def uncertainty(self) -> Tensor:
        return self.entropy / math.log(max(self.num_outputs, 2))

    @property
    def num_outputs(self) -> int:
        """``K``, the number of classes."""
        return self.log_probs.shape[1]

    @property
    def preds(self) -> Tensor:
        """``(B, K, ...)`` float32: ``probs``."""
        return self.probs

    def for_criterion(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits, target

    def nll(self, target: Tensor) -> Tensor:
        if target.is_floating_point():  # shares of classes
            return functional.cross_entropy(self.logits.float(), target, reduction="none")
        # One operation in each step, where log_probs and a gather from them would be several.
        losses = functional.cross_entropy(self.logits.float(), target, ignore_index=IGNORED, reduction="none")
        return self.per_example(losses, target)

    def error(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: one minus the probability of the true class."""
        of_true = self.probs.gather(1, target.clamp_min(0)[:, None]).squeeze(1)
        return self.per_example(1 - of_true, target)

    def per_example(self, values: Tensor, target: Tensor) -> Tensor:
        return known_mean(values, target != IGNORED)

    def flat(self) -> "MulticlassPrediction":
        """A prediction for each pixel or token: ``(N, K)``."""
        if self.log_probs.ndim == 2:
            return self
        return MulticlassPrediction(logits=self.logits.movedim(1, -1).flatten(0, -2))

    def known(self, target: Tensor) -> "tuple[MulticlassPrediction, Tensor]":
        """``flat`` and its classes ``(N,)``, of the examples, pixels or tokens whose class is known."""
        rows = target.flatten() != IGNORED
        return self.flat()[rows], target.flatten()[rows]

    def draw_on(self, pictures: Tensor, example: Example) -> Tensor:
        """Where each pixel has a class: the true classes over the image, and the predicted ones beside it."""
        if self.logits.ndim != 4:
            return pictures
        both = [self.classes] if example.target is None else [example.target, self.classes]
        return torch.cat([paint_classes(pictures, classes) for classes in both], dim=3)

    def captions(self, example: Example, names: Sequence[str]) -> list[str]:
        true = [""] * len(self)
        if self.classes.ndim > 1:
            return true if example.target is None else _shares_right(self.classes, example.target)
        if example.target is not None:
            true = [f"true {name}\n" if name else "" for name in _names_of(example.target, names)]
        pairs = zip(true, self.classes.tolist(), self.confidence.tolist(), strict=True)
        return [f"{start}predicted {names[label]}, {share:.0%}" for start, label, share in pairs]

    def columns(self, names: Sequence[str], target: Tensor | None = None) -> dict[str, list[Any]]:
        """Class, its probability, entropy in nats, all probabilities; for pixels or tokens, shares."""
        probs = self.probs if self.classes.ndim == 1 else shares(self.classes, self.num_outputs)
        numbers = {"probability": per_example(self.confidence), "entropy": self.entropy}
        numbers |= dict(zip(distinct(names), probs.T, strict=True))
        best = probs.argmax(1) if self.classes.ndim > 1 else self.classes
        true = {"true": _names_of(target, names)} if target is not None and target.ndim == 1 else {}
        return true | {"class": [names[label] for label in best.tolist()]} | written(numbers)

    def images(self, data: DataDescription) -> list[Image.Image]:
        """Where each pixel has a class: a mask in the values and colours that ``data.extras`` names."""
        values = data.extras.get("mask_values", range(self.num_outputs))
        is_mask, colours = self.logits.ndim == 4, data.extras.get("mask_colours")
        return palette_images(self.classes, values, colours) if is_mask else []


def _names_of(target: Tensor, names: Sequence[str]) -> list[str]:
    return ["" if label == IGNORED else names[int(label)] for label in target.long().tolist()]


def _shares_right(classes: Tensor, target: Tensor) -> list[str]:
    known = (target != IGNORED).flatten(1).sum(dim=1).tolist()
    right = (classes == target).flatten(1).sum(dim=1).tolist()
    pairs = zip(right, known, strict=True)
    return [f"{one / of:.1%} correct" if of else "all ignored" for one, of in pairs]
