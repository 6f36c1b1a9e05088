"""Which checkpoints of a run are kept, and how they reach the disk."""

import errno
import os
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint, Timer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from ..errors import check_least
from ..foreign import batches_trained, between_batches, callbacks_of, is_dry, not_begun
from ..runs.files import replacing

EARLY = "an early stop"


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint atomically: to a file beside its path, renamed once all of it is on the disk."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save a checkpoint; after an error, the old file is as it was.

        Raises:
            OSError: The disk is full or cannot be written to.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(path, on_disk=True) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except RuntimeError as error:  # torch's writer hides the system's error
            if "PytorchStreamWriter" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


class Checkpoints(ModelCheckpoint):
    """Keeps ``checkpoints/best.ckpt`` and ``checkpoints/last.ckpt`` in the run's folder.

    Args:
        monitor: Logged key that says which epoch is best.
        mode: Whether the best value is the smallest (``min``) or the largest (``max``).
        every_n_epochs: Also keep ``epoch-<n>.ckpt`` every so many epochs; ``None`` for none.
        every_n_train_steps: Also write ``last.ckpt`` every so many steps, for long epochs; ``None`` for none.

    Attributes:
        ended_by: What ended the training, this one or the resumed one; empty if it has not ended.
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
        check_least(1, every_n_epochs=every_n_epochs, every_n_train_steps=every_n_train_steps)
        self.every_n_kept_epochs = every_n_epochs
        self.every_n_last_steps = every_n_train_steps
        self._saved_step = -1
        self._is_epoch_over = False
        self.ended_by = ""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.ended_by.startswith(EARLY):
            trainer.should_stop = True  # Lightning does not restore it, and would train on

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.ended_by = ""
        self._saved_step = batches_trained(trainer)  # a resumed run need not save what it just loaded

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Not in on_train_batch_end of the step before, when not every logger has that step yet.
        if not (every := self.every_n_last_steps):
            return
        step = batches_trained(trainer)
        due = batch_idx and step % every == 0 and step != self._saved_step
        if due and not is_window_open(trainer, batch_idx):
            self.save_between_batches(trainer)
            self._saved_step = step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True  # otherwise the last steps would not be validated

    def save_between_batches(self, trainer: Trainer) -> None:
        """Write ``last.ckpt`` as if the batch that was just fetched had not been fetched yet."""
        with between_batches(trainer):
            self._save(trainer, "last")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Saved when the next epoch begins, or training ends: only then has every logger this epoch.
        self._is_epoch_over = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with not_begun(trainer.fit_loop.epoch_progress):
            self._save_epoch(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_epoch_over:
            self.ended_by = what_ended(trainer)
            self._save_epoch(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"ended_by": self.ended_by}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, with paths in the present folder: it may have been moved or copied since."""
        self.ended_by = state_dict.get("ended_by", "")
        if self.dirpath is None:
            return

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else ""

        moved = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path")}
        moved["last_model_path"] = here(state_dict["last_model_path"])
        if Path(moved["best_model_path"]).is_file():
            best = {here(path): score for path, score in state_dict["best_k_models"].items()}
            super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})

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


class SaveFirst(Callback):
    """Lets ``Checkpoints`` save before another callback changes what is saved.

    Lightning calls checkpoint callbacks last. What another callback does at the start of an epoch, or at
    the end of training, would be in the checkpoint, and a resumed run would do it again.
    """

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for callback in checkpoints_of(trainer):
            callback.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for callback in checkpoints_of(trainer):
            callback.on_train_epoch_start(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for callback in checkpoints_of(trainer):
            callback.on_train_end(trainer, pl_module)


def checkpoints_of(trainer: Trainer) -> list[Checkpoints]:
    """The engine's ``Checkpoints`` among the callbacks."""
    return [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, Checkpoints)]


def is_window_open(trainer: Trainer, batch_idx: int) -> bool:
    """Whether gradients accumulated from earlier batches await their step as batch ``batch_idx`` begins.

    A checkpoint does not hold them, so none is written then.
    """
    return batch_idx % trainer.accumulate_grad_batches != 0


def what_ended(trainer: Trainer) -> str:
    """What ended a training, in words for the user."""
    timers = [callback for callback in callbacks_of(trainer) if isinstance(callback, Timer)]
    if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
        return f"max_steps={trainer.max_steps}"
    if trainer.max_epochs not in (None, -1) and trainer.current_epoch >= trainer.max_epochs:
        return f"max_epochs={trainer.max_epochs}"
    if any((timer.time_remaining() or 1) <= 0 for timer in timers):
        return "max_time"
    return f"{EARLY} after epoch {trainer.current_epoch}"
