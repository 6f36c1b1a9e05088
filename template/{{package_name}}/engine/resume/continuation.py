"""Restores what Lightning does not, so that a resumed run continues exactly where it was."""

from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging

from ..data.loaders import Resumable
from ..foreign import batches_of_epoch, callbacks_of, restart_loader
from ..processes import gather_objects
from .modes import read_modes, write_modes
from .random_state import State, read_state, write_state
from .same_run import SameRun


class Continuation(SameRun):
    """Restores each process's random state, what is frozen, and the position in the data; refuses other data.

    The engine's own loaders find their position themselves. All others are started as at the beginning of
    the epoch and read up to the position: exact for any order that follows from the random state, also with
    workers, and for iterable data that draw no random numbers in the main process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_foreign = False  # whether batches come from a loader that is not the engine's
        self._saved: dict[str, Any] = {}
        self._epoch_began: State | None = None  # before the loader began
        self._before_fetch: State | None = None
        self._device = torch.device("cpu")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device
        if any(isinstance(callback, WeightAveraging) for callback in callbacks_of(trainer)):
            # It copies the model in ``setup``, before Lightning moves it to the device: the average would
            # stay on the CPU, and each step would wait for a copy of all weights.
            trainer.strategy.model_to_device()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        mine = {"now": read_state(self._device), "epoch": self._epoch_began, "fetch": self._before_fetch}
        checkpoint["continuation"] = {
            "modes": read_modes(pl_module),
            "accumulate": trainer.accumulate_grad_batches,
            "ranks": gather_objects(mine),
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._saved = checkpoint.get("continuation", {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._saved:
            _begin_epoch(trainer)
        self._is_foreign = not isinstance(trainer.train_dataloader, Resumable)
        if not self._is_foreign:
            return
        num_done = batches_of_epoch(trainer)
        if self._saved and num_done:
            self._epoch_began, before = self._mine(trainer)["epoch"], self._mine(trainer)["fetch"]
            self._begin_loader(trainer, num_done)
            if before is not None:
                write_state(before, self._device)
        elif not self._saved:
            self._epoch_began = read_state(self._device)
            self._begin_loader(trainer, 0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_resumed = bool(self._saved)
        self._restore(trainer, pl_module)
        if self._is_foreign and (is_resumed or trainer.current_epoch):
            self._epoch_began, self._before_fetch = read_state(self._device), None
            if is_resumed:
                self._begin_loader(trainer, 0)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._restore(trainer, pl_module)  # a run resumed inside an epoch gets no on_train_epoch_start

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._is_foreign:
            self._before_fetch = read_state(self._device)

    def _restore(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not earlier: callbacks draw random numbers, and freeze parameters, at the start of training.
        if self._saved:
            write_modes(pl_module, self._saved["modes"])
            trainer.accumulate_grad_batches = self._saved["accumulate"]  # a callback may change it by epochs
            write_state(self._mine(trainer)["now"], self._device)
        self._saved = {}

    def _mine(self, trainer: Trainer) -> dict[str, Any]:
        return self._saved["ranks"][trainer.global_rank]

    def _begin_loader(self, trainer: Trainer, num_done: int) -> None:
        if self._epoch_began is not None:
            write_state(self._epoch_began, self._device)
        restart_loader(trainer, num_done)


def _begin_epoch(trainer: Trainer) -> None:
    """Let a run that is resumed between two epochs train the next one.

    With ``max_steps``, Lightning 2.6 takes every resume for one inside the checkpoint's epoch. That epoch is
    over, so it would be run again without a step.
    """
    epochs: Any = trainer.fit_loop.epoch_progress.current
    if epochs.ready == epochs.started == epochs.processed:
        trainer.fit_loop.epoch_loop.restarting = False
