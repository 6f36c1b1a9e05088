"""One line per epoch: the metrics, the speed and the time left."""

import logging
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from ..loggers import stage_of

log = logging.getLogger(__name__)


class EpochSummary(Callback):
    """Logs losses, accuracy, the monitored metric, examples per second of training and the time left.

    What an epoch did not measure is left out. The line is written when the next epoch begins, or training
    ends: until then, the training metrics are still those of the epoch before.
    """

    def __init__(self) -> None:
        self._began = self._epoch_began = self._paused_at = 0.0
        self._paused_s, self._num_examples, self._first_epoch = 0.0, 0, 0
        self._training_s, self._is_over, self._is_validated = 0.0, False, False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._first_epoch = time.perf_counter(), trainer.current_epoch
        self._begin_epoch()  # a run resumed inside an epoch gets no on_train_epoch_start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._say(trainer)
        self._begin_epoch()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._num_examples += len(batch)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused_at = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused_s += time.perf_counter() - self._paused_at
        self._is_validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._training_s = max(time.perf_counter() - self._epoch_began - self._paused_s, 1e-9)
        self._is_over = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._say(trainer)

    def _begin_epoch(self) -> None:
        self._epoch_began, self._paused_s, self._num_examples = time.perf_counter(), 0.0, 0
        self._is_over = self._is_validated = False

    def _say(self, trainer: Trainer) -> None:
        """Log the line of the epoch that is over; ``current_epoch`` already counts it."""
        if not self._is_over or not trainer.is_global_zero:
            return
        self._is_over = False
        epoch, num_epochs = trainer.current_epoch, max(trainer.max_epochs or 0, 0)
        name = f"{stage.name}: " if (stage := stage_of(trainer)) else ""
        parts = [f"{name}epoch {epoch}/{num_epochs}" if num_epochs else f"{name}epoch {epoch}"]
        callback = trainer.checkpoint_callback
        monitor = callback.monitor if isinstance(callback, ModelCheckpoint) else None
        for key in dict.fromkeys(("train/loss_step", "val/loss", "val/accuracy", monitor)):
            is_new = self._is_validated or not str(key).startswith("val/")
            if is_new and key in trainer.callback_metrics:
                parts.append(f"{key} {trainer.callback_metrics[key].item():.4f}")
        if self._num_examples:  # 0 if a run is resumed at the end of an epoch
            speed = self._num_examples * trainer.world_size / self._training_s
            parts.append(f"{speed:,.0f} examples/s")
        if num_epochs:
            per_epoch = (time.perf_counter() - self._began) / (epoch - self._first_epoch)
            parts.append(f"{per_epoch * (num_epochs - epoch):.0f} s left")
        log.info("  ".join(parts))
