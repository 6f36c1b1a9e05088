"""Which states of a run are kept."""

from pathlib import Path
from typing import Any, Literal

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint


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
            # After validation and all logging of the epoch, so that a resumed run begins with the next one.
            save_on_train_epoch_end=True,
        )
        self.every_n_kept_epochs = every_n_epochs
        self.every_n_last_steps = every_n_train_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        every = self.every_n_last_steps
        if every and trainer.global_step % every == 0:
            self._save(trainer, "last")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        every, epoch = self.every_n_kept_epochs, trainer.current_epoch + 1
        if every and epoch % every == 0:
            self._save(trainer, f"epoch-{epoch:04d}")
        self._save(trainer, "last")

    def _save(self, trainer: Trainer, name: str) -> None:
        if self.dirpath and not getattr(trainer, "fast_dev_run", 0):
            path = str(Path(self.dirpath) / f"{name}.ckpt")
            if name == "last":
                self.last_model_path = path
            trainer.save_checkpoint(path)
