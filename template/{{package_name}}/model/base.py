"""The base class of all models: a subclass says how to predict."""

from copy import copy
from typing import Any, ClassVar

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from .. import metrics as own_metrics
from ..engine.metrics import MetricPlan
from ..engine.module import Module, Part
from ..structs import DataDescription, Example, Loss, MulticlassPrediction, Prediction


class BaseModel(Module):
    """A model of ``Example -> Prediction`` that trains, validates and tests itself.

    A subclass names its ``prediction_class`` and defines ``forward``; it may override ``compute_loss``,
    ``trained_parameters``, or any method of Lightning. All arguments are given by name; plain
    values are stored in checkpoints, from which ``load_model`` builds it again.

    Args:
        data: What is known of the data; on the command line it comes from the datamodule, and so does each
            other argument of a subclass whose name the datamodule knows, such as ``num_classes``.
        optimizer: Makes the optimizer from the parameters; ``None`` is AdamW as torch sets it.
        lr_scheduler: Makes the learning rate's schedule from the optimizer, stepped each batch; ``None``
            keeps it constant. A length (``total_steps``, ``T_max``, ``total_iters``) of 0 or ``None``
            becomes the run's number of steps, at the end of a list the remaining ones.
        param_groups: Options of the optimizer, such as ``lr``, by patterns of parameter names.
        optimizers: In place of both, an optimizer for each part (an attribute of the model), which follows
            the loss term of the same name.
        criterion: Makes a scalar from outputs and targets, in float32; ``None`` is the targets' likelihood.
        metrics: Name to torchmetrics class; see ``MetricPlan``. ``None`` is what the prediction suggests.
        use_compile: Compile the forward pass with ``torch.compile``; worth it for long runs.
    """

    prediction_class: ClassVar[type[Prediction]] = MulticlassPrediction

    def __init__(
        self,
        *,
        data: DataDescription | None = None,
        optimizer: OptimizerCallable | None = None,
        lr_scheduler: tuple[LRSchedulerCallable, ...] | LRSchedulerCallable | None = None,
        param_groups: dict[str, dict[str, Any]] | None = None,
        optimizers: dict[str, Part] | None = None,
        criterion: nn.Module | None = None,
        metrics: dict[str, str | dict[str, Any]] | None = None,
        use_compile: bool = False,
    ) -> None:
        specs = self.prediction_class.default_metrics if metrics is None else metrics
        super().__init__(
            MetricPlan(specs, self.prediction_class, own=[own_metrics]),
            data,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            param_groups=param_groups,
            optimizers=optimizers,
            use_compile=use_compile,
        )
        self.criterion = criterion

    def forward(self, example: Any) -> Any:
        """Predict a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(example) -> Prediction")

    def compute_loss(self, example: Any, prediction: Any) -> Loss:
        """Loss of a batch whose examples have targets; override it for several terms."""
        if self.criterion is None:
            return Loss(terms={"nll": prediction.nll(_target(example)).mean()})
        return Loss(terms={"criterion": _apply(self.criterion, example, prediction)})

    def example_loss(self, example: Any, prediction: Any) -> Tensor:
        """``(B,)`` float32: the loss of each example, which callbacks rank by.

        A criterion without ``reduction`` is replaced by the negative log-likelihood.
        """
        if self.criterion is None or "reduction" not in vars(self.criterion):
            return prediction.nll(_target(example))
        criterion = copy(self.criterion)
        vars(criterion)["reduction"] = "none"
        losses = _apply(criterion, example, prediction)
        return prediction.per_example(losses, example.target)


def _apply(criterion: nn.Module, example: Example, prediction: Prediction) -> Tensor:
    """A criterion of a batch, in no less than float32: a model may compute in half precision."""
    outputs, target = prediction.for_criterion(_target(example))
    dtype = torch.promote_types(outputs.dtype, torch.float32)
    return criterion.to(dtype)(outputs.to(dtype), target.to(dtype) if target.is_floating_point() else target)


def _target(example: Example) -> Tensor:
    if example.target is None:
        raise ValueError("a loss needs targets, got none; replace compute_loss for data without")
    return example.target if example.soft_target is None else example.soft_target
