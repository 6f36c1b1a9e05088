"""One line per epoch: how it goes, how fast, how long it will take."""

import logging
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

log = logging.getLogger(__name__)


class EpochSummary(Callback):
    """Logs losses, accuracy, the monitored metric, examples per second of training and the time left."""

    def __init__(self) -> None:
        self._began = self._epoch_began = self._paused_at = 0.0
        self._paused_s, self._num_examples, self._first_epoch = 0.0, 0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began, self._first_epoch = time.perf_counter(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_began, self._paused_s, self._num_examples = time.perf_counter(), 0.0, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._num_examples += len(batch)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused_at = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused_s += time.perf_counter() - self._paused_at

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        now = time.perf_counter()
        training_s = max(now - self._epoch_began - self._paused_s, 1e-9)
        speed = self._num_examples * trainer.world_size / training_s
        epoch, num_epochs = trainer.current_epoch + 1, max(trainer.max_epochs or 0, 0)
        parts = [f"epoch {epoch}/{num_epochs}" if num_epochs else f"epoch {epoch}"]
        callback = trainer.checkpoint_callback
        monitor = callback.monitor if isinstance(callback, ModelCheckpoint) else None
        for key in dict.fromkeys(("train/loss_step", "val/loss", "val/accuracy", monitor)):
            if key in trainer.callback_metrics:
                parts.append(f"{key} {trainer.callback_metrics[key].item():.4f}")
        if self._num_examples:  # none where a run goes on at an epoch's end
            parts.append(f"{speed:,.0f} examples/s")
        if num_epochs:
            per_epoch = (now - self._began) / (epoch - self._first_epoch)
            parts.append(f"{per_epoch * (num_epochs - epoch):.0f} s left")
        log.info("  ".join(parts))
