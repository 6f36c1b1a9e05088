"""The engine's half of a model: a subclass says how to predict and what the loss is."""

from dataclasses import asdict
from typing import Any, cast

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torchmetrics import MetricCollection

from ..contracts import AnyExample, AnyPrediction, DataDescription, Model, data_of
from ..errors import InputError
from ..foreign import batches_per_log, is_attached
from ..metrics import SplitMetrics, ValMetrics, num_unrepeated
from ..processes import gather_objects
from .optimizers import check_lengths, make_optimizer, make_schedule, open_lengths
from .window import LossWindow


class Module(Model):
    """Trains, validates and tests itself: a step is ``forward``, then ``compute_loss``, then metrics.

    Numbers leave the device once per ``log_every_n_steps`` batches. Checkpoints hold all that a resumed run
    needs to be the run that was never interrupted.

    Args:
        metrics: What is computed on each split.
        data: What is known of the data before it was seen.
        optimizer: Makes the optimizer from the parameters; ``None`` is AdamW as torch sets it.
        lr_scheduler: Makes the schedule from the optimizer; ``None`` keeps the learning rate.
        use_compile: Compile the forward pass.
    """

    def __init__(
        self,
        metrics: MetricCollection,
        data: DataDescription,
        *,
        optimizer: OptimizerCallable | None = None,
        lr_scheduler: LRSchedulerCallable | None = None,
        use_compile: bool = False,
    ) -> None:
        super().__init__()
        self.data = data
        self.optimizer, self.lr_scheduler, self.use_compile = optimizer, lr_scheduler, use_compile
        self.train_metrics = SplitMetrics(metrics, "train/")
        self.val_metrics = ValMetrics(metrics)
        self.test_metrics = SplitMetrics(metrics, "test/")
        self._window = LossWindow()
        self._open_lengths: list[str] = []

    def setup(self, stage: str) -> None:
        data = data_of(self.trainer)
        self.data = self.data.updated(data.describe())
        if stage == "fit" and (statistics := data.statistics()):
            self.use_statistics(*statistics)
        self.val_metrics.name_sets(data.val_sets)
        if self.use_compile and stage == "fit":
            self.compile()

    def on_train_start(self) -> None:
        self._window.load_state(self._window.state(), self.device)  # that of a run that is resumed
        for config in self.trainer.lr_scheduler_configs:
            check_lengths(config.scheduler, self._open_lengths, int(self.trainer.estimated_stepping_batches))

    def training_step(self, batch: AnyExample, batch_idx: int) -> dict[str, Any]:
        prediction = self(batch)
        loss = self.compute_loss(batch, prediction)
        self.train_metrics.append(batch, prediction, loss)
        total = loss.total
        self._window.append(total)
        return {"loss": total, "prediction": prediction.detach()}

    def on_train_batch_end(self, outputs: Any, batch: AnyExample, batch_idx: int) -> None:
        every = batches_per_log(self.trainer)
        if every and self.trainer.global_step % every == 0:
            self._log_window(batch_idx)

    def on_train_epoch_end(self) -> None:
        self._log_window(self.trainer.fit_loop.batch_idx)
        self._log_split(self.train_metrics)

    def on_validation_epoch_start(self) -> None:
        if self._window:  # a checkpoint may follow
            self._check_finite(self.trainer.fit_loop.batch_idx)
        self.val_metrics.reset()

    def validation_step(self, batch: AnyExample, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        loaders = self.trainer.val_dataloaders
        loader = loaders[dataloader_idx] if isinstance(loaders, list) else loaders
        num_own = num_unrepeated(loader, batch_idx, len(batch))
        return self._evaluate(batch, num_own, self.val_metrics.of_loader(dataloader_idx))

    def on_validation_epoch_end(self) -> None:
        for split in self.val_metrics.all:
            self._log_split(split)

    def test_step(self, batch: AnyExample, batch_idx: int) -> dict[str, Any]:
        num_own = num_unrepeated(self.trainer.test_dataloaders, batch_idx, len(batch))
        return self._evaluate(batch, num_own, [self.test_metrics])

    def on_test_epoch_end(self) -> None:
        self._log_split(self.test_metrics)

    def predict_step(self, batch: AnyExample, batch_idx: int, dataloader_idx: int = 0) -> AnyPrediction:
        return self(batch)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = make_optimizer(self.optimizer or torch.optim.AdamW, self.parameters())
        if self.lr_scheduler is None:
            return optimizer
        self._open_lengths = open_lengths(self.lr_scheduler)
        num_steps = int(self.trainer.estimated_stepping_batches)
        schedule = make_schedule(self.lr_scheduler, optimizer, self._open_lengths, num_steps)
        return cast(OptimizerLRScheduler, {"optimizer": optimizer, "lr_scheduler": schedule})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise InputError(
                    f"expected finite weights to save, got others in {name}; {self._last_good()}"
                )
        cls = type(self)
        checkpoint["model_class"] = f"{cls.__module__}.{cls.__qualname__}"
        checkpoint["data"] = asdict(self.data)
        progress = {"window": self._window.state(), "metrics": self.train_metrics.state()}
        checkpoint["progress"] = gather_objects(progress)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        ranks = checkpoint.get("progress", [])
        if is_attached(self) and self.trainer.state.fn == "fit" and len(ranks) == self.trainer.world_size:
            mine = ranks[self.trainer.global_rank]
            self._window.load_state(mine["window"], self.device)
            self.train_metrics.load_state(mine["metrics"])

    def _evaluate(self, batch: AnyExample, num_own: int, splits: list[SplitMetrics]) -> dict[str, Any]:
        prediction = self(batch)
        if num_own < len(batch):
            batch, prediction = batch[:num_own], prediction[:num_own]
        if len(batch):
            loss = None if batch.target is None else self.compute_loss(batch, prediction)
            for split in splits:
                split.append(batch, prediction, loss)
        return {"prediction": prediction}

    def _log_split(self, split: SplitMetrics) -> None:
        # The values are those of all ranks already; sync_dist only tells Lightning so.
        self.log_dict(split.compute(), sync_dist=True)
        split.reset()

    def _log_window(self, batch_idx: int) -> None:
        """Log the mean of the losses since the last call: the only host sync of training."""
        if self._window:
            self._check_finite(batch_idx)
            loss = self._window.take_mean()
            self.train_metrics.flush()
            self.log("train/loss_step", loss, prog_bar=True, sync_dist=True)
            self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], sync_dist=True)

    def _check_finite(self, batch_idx: int) -> None:
        step, epoch = self.trainer.global_step, self.trainer.current_epoch
        self._window.check_finite(step=step, batch_idx=batch_idx, epoch=epoch, advice=self._last_good())

    def _last_good(self) -> str:
        callback = self.trainer.checkpoint_callback
        last = callback.last_model_path if isinstance(callback, ModelCheckpoint) else ""
        last = last or "none was saved yet"
        return f"lower the learning rate or clip gradients; the last good checkpoint: {last}"
