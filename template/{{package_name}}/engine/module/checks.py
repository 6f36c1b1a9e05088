"""Checks that a model is given examples, and returns a prediction and a loss; errors name its class."""

from typing import Any

import torch
from torch import Tensor

from ..contracts import AnyLoss, Example, Model, Prediction
from ..errors import InputError


def predict(model: Model, batch: Any) -> tuple[Example, Prediction]:
    """A batch, with the target that is predicted, and a model's prediction of it.

    Raises:
        InputError: The batch is not an ``Example``, as from a plain loader, or its prediction is not one.
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
        InputError: It is ``None`` or a bare tensor, or has no gradient while one is needed.
    """
    loss, name = model.compute_loss(batch, prediction), type(model).__name__
    if loss is None or isinstance(loss, Tensor):
        raise InputError(
            f"{name}.compute_loss: expected a Loss, got a {type(loss).__name__}; "
            "return Loss(terms={'name': scalar})"
        )
    if torch.is_grad_enabled() and not any(term.requires_grad for term in loss.terms.values()):
        raise InputError(
            f"{name}.compute_loss: expected a loss with a gradient, got one without; do not use detach, item "
            "or no_grad on the way to it, and do not freeze all parameters"
        )
    return loss
