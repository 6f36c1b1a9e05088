"""The base class of all models: a subclass says how to predict."""

from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, cast

from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from ..engine.contracts import DataDescription
from ..engine.metrics import select_metrics
from ..engine.module import Module
from ..metrics import calibration
from ..structs import Example, Loss, Prediction
from .normalize import Normalize

DEFAULT_METRICS = {
    "accuracy": "Accuracy",
    "entropy": "Entropy",
    "uce": "UncertaintyCalibrationError",
    "ece": "CalibrationError",
}
# Set anew by each run, and of no use to who loads a trained model.
TRAINING_ARGS = ["optimizer", "lr_scheduler", "criterion", "metrics", "use_compile"]


class BaseModel(Module):
    """A model of ``Example -> Prediction`` that trains, validates and tests itself.

    A subclass gives ``forward`` and may replace ``compute_loss``, or any method of Lightning. It passes its
    keyword arguments on (``super().__init__(num_classes=num_classes, **kwargs)``); those that are plain
    values are stored in checkpoints, from which ``load_model`` builds it again.

    Args:
        num_classes: ``K``, the number of classes; on the command line it comes from the data.
        in_channels: ``C`` of the images; on the command line it comes from the data.
        optimizer: Makes the optimizer from the parameters; ``None`` is AdamW as torch sets it.
        lr_scheduler: Makes the learning rate's schedule from the optimizer, stepped each batch; ``None``
            keeps it constant. A length (``total_steps``, ``T_max``, ``total_iters``) of 0 or ``None``
            becomes the run's number of steps.
        criterion: Makes a scalar from logits and targets; ``None`` is cross-entropy.
        metrics: Name to torchmetrics class; see ``select_metrics``. ``None`` is
            accuracy, entropy, UCE and ECE.
        use_compile: Compile the forward pass by ``torch.compile``; worth it for long runs.
    """

    task: ClassVar[str] = "multiclass"

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int = 3,
        optimizer: OptimizerCallable | None = None,
        lr_scheduler: LRSchedulerCallable | None = None,
        criterion: nn.Module | None = None,
        metrics: dict[str, str | dict[str, Any]] | None = None,
        use_compile: bool = False,
    ) -> None:
        specs = DEFAULT_METRICS if metrics is None else metrics
        super().__init__(
            select_metrics(specs, task=self.task, num_classes=num_classes, own=[calibration]),
            DataDescription(class_names=tuple(map(str, range(num_classes)))),
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            use_compile=use_compile,
        )
        self.save_hyperparameters(ignore=TRAINING_ARGS, logger=False)
        self.remove_ignored_hparams([name for name, value in self.hparams.items() if not _is_plain(value)])
        self.num_classes = num_classes
        default = nn.CrossEntropyLoss if self.task == "multiclass" else nn.BCEWithLogitsLoss
        self.criterion = criterion or default()
        self.normalize = Normalize(in_channels)

    def forward(self, example: Example) -> Prediction:
        """Predict a batch; ``self.normalize(example.image)`` gives float pixels."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(example) -> Prediction")

    def compute_loss(self, example: Example, prediction: Prediction) -> Loss:
        """Loss of a batch whose examples have targets; replace it for several terms."""
        return Loss(terms={"criterion": self.criterion(prediction.logits, _target(example, prediction))})

    def example_loss(self, example: Example, prediction: Prediction) -> Tensor:
        """``(B,)`` float32: the criterion of each example by itself, by which callbacks rank images.

        A criterion without ``reduction`` is replaced by the negative log-likelihood.
        """
        if not hasattr(self.criterion, "reduction"):
            rows = cast(Tensor, example.target)[:, None]
            return -prediction.log_probs.gather(1, rows).squeeze(1)
        criterion = copy(self.criterion)
        setattr(criterion, "reduction", "none")  # noqa: B010 # unknown to type checkers
        return criterion(prediction.logits.float(), _target(example, prediction))

    def make_example(self, pixels: Tensor) -> Example:
        """The batch of ``(B, C, H, W)`` uint8 images without targets, for ``predict``."""
        return Example(image=pixels)

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Normalise by the training images' statistics from now on."""
        self.normalize.set_statistics(mean, std)


def _target(example: Example, prediction: Prediction) -> Tensor:
    """Targets as a criterion takes them: class indices, or for one logit an example ``(B,)`` float."""
    target = cast(Tensor, example.target)
    return target if prediction.logits.ndim == 2 else target.float()


def _is_plain(value: object) -> bool:
    """Whether ``value`` is what a checkpoint may hold: numbers, text and containers of them."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
