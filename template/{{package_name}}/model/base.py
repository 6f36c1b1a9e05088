"""The base class of all models: steps, numbers, optimizer; a subclass says how to predict."""

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Any, ClassVar, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..errors import InputError
from ..metrics import SplitMetrics, gather_objects, num_unrepeated, select_metrics
from ..structs import Example, Loss, Prediction
from .normalize import Normalize

DEFAULT_METRICS = {
    "accuracy": "Accuracy",
    "entropy": "Entropy",
    "uce": "UncertaintyCalibrationError",
    "ece": "CalibrationError",
}
TRAINING_ARGS = ["optimizer", "lr_scheduler", "criterion", "metrics", "use_compile"]
# The arguments by which torch's schedules take their length.
LENGTHS = ("total_steps", "T_max", "total_iters")


class BaseModel(LightningModule):
    """A model of ``Example -> Prediction`` that trains, validates and tests itself.

    A subclass gives ``forward`` and may replace ``compute_loss``. It passes its keyword arguments
    on (``super().__init__(num_classes=num_classes, **kwargs)``); those that are plain values are stored in
    checkpoints, from which ``load_model`` builds it again.

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

    Attributes:
        class_names: Names of the classes, known once data was seen; part of the checkpoint.
        image_shape: ``(C, H, W)`` of the data, likewise.
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
        super().__init__()
        self.save_hyperparameters(ignore=TRAINING_ARGS, logger=False)
        self.remove_ignored_hparams([name for name, value in self.hparams.items() if not _is_plain(value)])
        self.num_classes = num_classes
        self.optimizer, self.lr_scheduler, self.use_compile = optimizer, lr_scheduler, use_compile
        default = nn.CrossEntropyLoss if self.task == "multiclass" else nn.BCEWithLogitsLoss
        self.criterion = criterion or default()
        self.class_names = [str(label) for label in range(num_classes)]
        self.image_shape: tuple[int, ...] | None = None
        self.normalize = Normalize(in_channels)
        specs = DEFAULT_METRICS if metrics is None else metrics
        collection = select_metrics(specs, task=self.task, num_classes=num_classes)
        self.train_metrics = SplitMetrics(collection, "train/")
        self.val_metrics = SplitMetrics(collection, "val/")
        self.test_metrics = SplitMetrics(collection, "test/")
        self.val_sets = nn.ModuleDict()  # by name, when there are several
        self._counted: list[tuple[str, bool]] = []
        self._window: list[Tensor] = []
        self._open_lengths: list[str] = []

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

    def setup(self, stage: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if (num_classes := getattr(data, "num_classes", self.num_classes)) != self.num_classes:
            raise InputError(
                f"the model was made for {self.num_classes} classes, but the data has {num_classes}; "
                "use the data it was trained on, or train a new model"
            )
        self.class_names = list(getattr(data, "class_names", self.class_names))
        self.image_shape = getattr(data, "image_shape", self.image_shape)
        if stage == "fit" and (statistics := getattr(data, "statistics", None)):
            self.normalize.set_statistics(*statistics())
        sets = getattr(data, "val_sets", {"val": True})
        self._counted = list(sets.items())
        if len(sets) > 1:
            for name in sets:
                self.val_sets[name] = SplitMetrics(self.val_metrics.metrics.clone(prefix=""), f"val/{name}/")
        if self.use_compile and stage == "fit":
            self.compile()

    def on_train_start(self) -> None:
        self._window = [loss.to(self.device) for loss in self._window]  # those of a run that is resumed
        num_steps = int(self.trainer.estimated_stepping_batches)
        for config in self.trainer.lr_scheduler_configs:
            for name in self._open_lengths:
                if (length := getattr(config.scheduler, name, num_steps)) != num_steps:
                    raise InputError(
                        f"expected the {length} steps for which the learning rate was scheduled, got "
                        f"{num_steps} steps; to train longer, begin a new schedule: fit --init_from RUN"
                    )

    def training_step(self, batch: Example, batch_idx: int) -> dict[str, Any]:
        prediction = self(batch)
        loss = self.compute_loss(batch, prediction)
        self.train_metrics.append(batch, prediction, loss)
        total = loss.total
        self._window.append(total.detach())
        return {"loss": total, "prediction": prediction.detach()}

    def on_train_batch_end(self, outputs: Any, batch: Example, batch_idx: int) -> None:
        every = getattr(self.trainer, "log_every_n_steps", 0)
        if every and self.trainer.global_step % every == 0:
            self._log_window(batch_idx)

    def on_train_epoch_end(self) -> None:
        self._log_window(self.trainer.fit_loop.batch_idx)
        self._log_split(self.train_metrics)

    def on_validation_epoch_start(self) -> None:
        if self._window:  # a checkpoint may follow
            self._check_finite(self.trainer.fit_loop.batch_idx)
        for split in self._val_splits():
            split.reset()

    def validation_step(
        self, batch: Example, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Prediction]:
        several = dataloader_idx < len(self._counted)
        name, counts = self._counted[dataloader_idx] if several else ("val", True)
        splits = [cast(SplitMetrics, self.val_sets[name])] if name in self.val_sets else []
        loaders = self.trainer.val_dataloaders
        loader = loaders[dataloader_idx] if isinstance(loaders, list) else loaders
        num_own = num_unrepeated(loader, batch_idx, len(batch))
        return self._evaluate(batch, num_own, [*splits, self.val_metrics] if counts else splits)

    def on_validation_epoch_end(self) -> None:
        for split in self._val_splits():
            self._log_split(split)

    def test_step(self, batch: Example, batch_idx: int) -> dict[str, Prediction]:
        num_own = num_unrepeated(self.trainer.test_dataloaders, batch_idx, len(batch))
        return self._evaluate(batch, num_own, [self.test_metrics])

    def on_test_epoch_end(self) -> None:
        self._log_split(self.test_metrics)

    def predict_step(self, batch: Example, batch_idx: int, dataloader_idx: int = 0) -> Prediction:
        return self(batch)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        make = self.optimizer or torch.optim.AdamW
        parameters: list[Any] = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if _argument(make, "weight_decay"):
            # Biases and the parameters of normalisation are not decayed.
            weights = [parameter for parameter in parameters if parameter.ndim > 1]
            others = [parameter for parameter in parameters if parameter.ndim <= 1]
            groups = {"params": weights}, {"params": others, "weight_decay": 0.0}
            parameters = [group for group in groups if group["params"]]
        optimizer = make(parameters)
        if self.lr_scheduler is None:
            return optimizer
        self._open_lengths = [name for name in LENGTHS if _argument(self.lr_scheduler, name) in (None, 0)]
        lengths = dict.fromkeys(self._open_lengths, int(self.trainer.estimated_stepping_batches))
        scheduler = partial(self.lr_scheduler, **lengths)(optimizer)
        if isinstance(scheduler, ReduceLROnPlateau):
            monitor = getattr(scheduler, "monitor", "val/loss")
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": monitor}}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise InputError(
                    f"expected finite weights to save, got others in {name}; {self._last_good()}"
                )
        cls = type(self)
        checkpoint["model_class"] = f"{cls.__module__}.{cls.__qualname__}"
        shape = list(self.image_shape) if self.image_shape else None
        checkpoint["data"] = {"class_names": self.class_names, "image_shape": shape}
        window = [loss.cpu() for loss in self._window]
        checkpoint["progress"] = gather_objects({"window": window, "metrics": self.train_metrics.state()})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ranks = checkpoint.get("progress", [])
        if (
            self._trainer is not None
            and self.trainer.state.fn == "fit"
            and len(ranks) == self.trainer.world_size
        ):
            mine = ranks[self.trainer.global_rank]
            self._window = mine["window"]
            self.train_metrics.load_state(mine["metrics"])

    def _evaluate(self, batch: Example, num_own: int, splits: list[SplitMetrics]) -> dict[str, Prediction]:
        prediction = self(batch)
        if num_own < len(batch):
            batch, prediction = batch[:num_own], prediction[:num_own]
        if len(batch):
            loss = None if batch.target is None else self.compute_loss(batch, prediction)
            for split in splits:
                split.append(batch, prediction, loss)
        return {"prediction": prediction}

    def _val_splits(self) -> list[SplitMetrics]:
        return [self.val_metrics, *(cast(SplitMetrics, split) for split in self.val_sets.values())]

    def _log_split(self, split: SplitMetrics) -> None:
        # The values are those of all ranks already; sync_dist only tells Lightning so.
        self.log_dict(split.compute(), sync_dist=True)
        split.reset()

    def _log_window(self, batch_idx: int) -> None:
        """Log the mean of the losses since the last call: the only host sync of training."""
        if self._window:
            self._check_finite(batch_idx)
            loss = torch.stack(self._window).mean()
            self._window = []
            self.train_metrics.flush()
            self.log("train/loss_step", loss, prog_bar=True, sync_dist=True)
            self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], sync_dist=True)

    def _check_finite(self, batch_idx: int) -> None:
        losses = torch.stack(self._window)
        if not (bad := (~losses.isfinite()).nonzero()[:1].tolist()):
            return
        (position,), epoch = bad[0], self.trainer.current_epoch
        back = len(losses) - 1 - position
        step = self.trainer.global_step - back
        raise InputError(
            f"expected a finite loss, got {losses[position].item()} at step {step}, batch {batch_idx - back} "
            f"of epoch {epoch}; {self._last_good()}"
        )

    def _last_good(self) -> str:
        last = getattr(self.trainer.checkpoint_callback, "last_model_path", "") or "none was saved yet"
        return f"lower the learning rate or clip gradients; the last good checkpoint: {last}"


def _target(example: Example, prediction: Prediction) -> Tensor:
    """Targets as a criterion takes them: class indices, or for one logit an example ``(B,)`` float."""
    target = cast(Tensor, example.target)
    return target if prediction.logits.ndim == 2 else target.float()


def _argument(factory: Callable[..., Any], name: str) -> Any:
    """What ``factory`` passes for ``name``: as given, else the default; ``()`` if it does not take it."""
    given: Mapping[str, Any] = getattr(factory, "keywords", {})
    # From a config it is partial(instantiator, class, ...), from Python a class or partial(class, ...).
    candidates = (*getattr(factory, "args", ()), getattr(factory, "func", factory))
    parameters = inspect.signature(next(filter(inspect.isclass, candidates), factory)).parameters
    if name not in parameters:
        return ()
    default = parameters[name].default
    return given.get(name, None if default is inspect.Parameter.empty else default)


def _is_plain(value: object) -> bool:
    """Whether ``value`` is what a checkpoint may hold: numbers, text and containers of them."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
