"""What a model is given, and what it gives, is what the engine works with; else its class is named."""

from typing import Any

import torch
from torch import Tensor

from ..contracts import AnyLoss, Example, Model, Prediction
from ..errors import InputError


def predict(model: Model, batch: Any) -> tuple[Example, Prediction]:
    """A batch, with the target that is predicted, and what a model predicts.

    Raises:
        InputError: The batch is no ``Example``, as those of plain loaders are not, or the prediction is none.
    """
    name = type(model).__name__
    if not isinstance(batch, Example):
        raise InputError(
            f"{name} takes an Example, the datamodule gives a {type(batch).__name__}; let its loaders yield "
            "one (structs/example.py), or train a plain LightningModule"
        )
    prediction = model(batch)
    if not isinstance(prediction, Prediction):
        raise InputError(
            f"{name}.forward: expected a Prediction, got a {type(prediction).__name__}; return "
            f"{model.prediction_class.__name__}.from_outputs(outputs)"
        )
    return model.example_of(batch, prediction), prediction


def compute_loss(model: Model, batch: Any, prediction: Any) -> AnyLoss:
    """The loss of a batch.

    Raises:
        InputError: It is a bare tensor, or nothing can be learned from it.
    """
    loss, name = model.compute_loss(batch, prediction), type(model).__name__
    if loss is None or isinstance(loss, Tensor):
        raise InputError(
            f"{name}.compute_loss: expected a Loss, got a {type(loss).__name__}; "
            "return Loss(terms={'name': scalar})"
        )
    if torch.is_grad_enabled() and not any(term.requires_grad for term in loss.terms.values()):
        raise InputError(
            f"{name}.compute_loss: expected a loss with a gradient, got one without; use no detach, item or "
            "no_grad on its way, and leave a parameter that is trained"
        )
    return loss
