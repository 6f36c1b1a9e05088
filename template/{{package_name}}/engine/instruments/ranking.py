"""Which examples are worst, by the prediction or by the model's loss."""

from typing import Any, Literal

from pytorch_lightning import LightningModule
from torch import Tensor

from ..contracts import Example, Model, Prediction

By = Literal["error", "loss", "entropy"]
ASKED = {"error": "error", "loss": "nll", "entropy": "uncertainty"}  # of a prediction


def why_not(by: By, prediction: type[Prediction], model: LightningModule) -> str:
    """Why examples cannot be ranked, as the end of a sentence; empty if they can."""
    if by == "loss" and isinstance(model, Model) and not model.needs_targets:
        return ""  # the model defines the loss itself
    below = [cls for cls in prediction.__mro__ if issubclass(cls, Prediction) and cls is not Prediction]
    is_defined = any(ASKED[by] in vars(cls) for cls in below)
    return "" if is_defined else f"by={by} needs a prediction with {ASKED[by]}"


def needs_targets(by: By, model: LightningModule) -> bool:
    """Whether only examples with a target can be ranked."""
    return by != "entropy" and not (by == "loss" and isinstance(model, Model) and not model.needs_targets)


def score(by: By, example: Example, prediction: Prediction, model: Any) -> Tensor:
    """``(B,)`` float32, the larger the worse."""
    if by == "entropy":
        return prediction.uncertainty
    if by == "loss" and isinstance(model, Model):
        return model.example_loss(example, prediction)
    assert example.target is not None  # see needs_targets
    return prediction.error(example.target) if by == "error" else prediction.nll(example.target)
