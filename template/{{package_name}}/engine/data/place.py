"""The position of training within an epoch."""

from typing import Any

from pytorch_lightning import Trainer

from ..contracts import DataModule


class Placed(DataModule):
    """Keeps the position in an epoch, so that a run that is resumed inside one continues there."""

    _resumed = 0, 0

    def place(self, num_batches: int) -> tuple[int, int]:
        """Epoch and batch at which training begins, both from 0."""
        return max(self._resumed, position_of(self.trainer, num_batches))

    def state_dict(self) -> dict[str, Any]:
        epoch, num_done = position_of(self.trainer, self.trainer.num_training_batches if self.trainer else 0)
        return {"epoch": epoch, "num_done": num_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A schedule that asks for the run's length makes the loader before the Trainer restores its progress.
        self._resumed = state_dict["epoch"], state_dict["num_done"]


def position_of(trainer: Trainer | None, num_batches: float) -> tuple[int, int]:
    """Epoch and batch, both from 0, at which training begins, by the Trainer's progress."""
    if trainer is None:
        return 0, 0
    loop = trainer.fit_loop
    epoch = loop.epoch_progress.current.ready
    done = loop.epoch_loop.batch_progress.current.processed  # pyright: ignore[reportAttributeAccessIssue]
    return (epoch, 0) if done >= num_batches else (max(epoch - 1, 0), done)
