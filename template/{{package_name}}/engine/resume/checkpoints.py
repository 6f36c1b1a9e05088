"""Which states of a run are kept, and how they reach the disk."""

import errno
import os
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ..foreign import batches_trained, between_batches, is_dry, not_begun
from ..runs.files import replacing


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there when it is whole and on the disk."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save, or leave the old file as it was.

        Raises:
            OSError: The disk is full or cannot be written.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(path, on_disk=True) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except RuntimeError as error:  # torch's writer hides what the system said
            if "PytorchStreamWriter" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


class Checkpoints(ModelCheckpoint):
    """Keeps ``checkpoints/best.ckpt`` and ``checkpoints/last.ckpt`` in the run's folder.

    Args:
        monitor: Logged key that says which epoch is best.
        mode: Whether the best value is the smallest (``min``) or the largest (``max``).
        every_n_epochs: Keep ``epoch-<n>.ckpt`` of each n-th epoch as well; ``None`` for none.
        every_n_train_steps: Also write ``last.ckpt`` each so many steps, for long epochs; ``None`` for none.
    """

    def __init__(
        self,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        every_n_epochs: int | None = None,
        every_n_train_steps: int | None = None,
    ) -> None:
        super().__init__(
            monitor=monitor,
            mode=mode,
            filename="best",
            save_last=False,  # Lightning's writes last.ckpt only when the best one changes
            enable_version_counter=False,
            save_on_train_epoch_end=True,  # not after each validation
        )
        self.every_n_kept_epochs = every_n_epochs
        self.every_n_last_steps = every_n_train_steps
        self._saved_step = -1
        self._is_epoch_over = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._saved_step = batches_trained(trainer)  # a resumed run need not save what it came from

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Now the last step is logged everywhere; at its end it is not yet.
        every, step = self.every_n_last_steps, batches_trained(trainer)
        if every and batch_idx and step % every == 0 and step != self._saved_step:
            self.save_between_batches(trainer)

    def save_between_batches(self, trainer: Trainer) -> None:
        """Write ``last.ckpt`` as if the batch that was just fetched were still to come."""
        with between_batches(trainer):
            self._save(trainer, "last")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Saved when the next epoch begins, or training ends: only then is this one logged everywhere.
        self._is_epoch_over = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with not_begun(trainer.fit_loop.epoch_progress):
            self._save_epoch(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_epoch(trainer, pl_module)

    def _save_epoch(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._is_epoch_over:
            return
        self._is_epoch_over = False
        super().on_train_epoch_end(trainer, pl_module)
        every, epoch = self.every_n_kept_epochs, trainer.current_epoch
        if every and epoch % every == 0:
            self._save(trainer, f"epoch-{epoch:04d}")
        self._save(trainer, "last")

    def _save(self, trainer: Trainer, name: str) -> None:
        if self.dirpath and not is_dry(trainer):
            path = str(Path(self.dirpath) / f"{name}.ckpt")
            if name == "last":
                self.last_model_path = path
            trainer.save_checkpoint(path)
