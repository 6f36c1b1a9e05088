"""A run that is asked to stop saves a checkpoint between two batches, and SLURM queues it again."""

import logging
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from ..foreign import batches_per_log, batches_trained, forget_sigterm
from ..loggers import first_step_of
from ..runs.job import requeue
from .checkpoints import checkpoints_of, is_window_open
from .signals import clear, is_listening, is_stop_requested, listen

log = logging.getLogger(__name__)


class Preemption(Callback):
    """Ends training after SIGTERM or SIGUSR1: saves ``last.ckpt``, requeues a SLURM job, exits with 0.

    All processes stop between the same two batches, whichever of them got the signal; several processes ask
    each other every ``log_every_n_steps`` batches. A running validation is finished first, and so are the
    batches of one step if gradients are accumulated; a test is not saved, and starts over on a resume.
    """

    def __init__(self) -> None:
        self._must_stop = False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_over(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_over(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_over(trainer)

    def on_test_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._must_leave(trainer, batch_idx):
            self._leave(trainer, "before the end of the test")

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._must_stop = self._must_stop or self._must_leave(trainer, batch_idx)
        if self._must_stop and not is_window_open(trainer, batch_idx):
            for callback in checkpoints_of(trainer):
                callback.save_between_batches(trainer)
            self._leave(trainer, f"saved at step {first_step_of(trainer) + batches_trained(trainer)}")

    def _take_over(self, trainer: Trainer) -> None:
        # Lightning's own handler would wait for the other processes right where the signal arrives.
        if is_listening():
            listen()
            forget_sigterm(trainer)

    def _must_leave(self, trainer: Trainer, batch_idx: int) -> bool:
        every = 1 if trainer.world_size == 1 else max(1, batches_per_log(trainer))
        return batch_idx % every == 0 and trainer.strategy.reduce_boolean_decision(
            is_stop_requested(), all=False
        )

    def _leave(self, trainer: Trainer, where: str) -> None:
        if trainer.is_global_zero:
            queued = ", queued again" if requeue() else ""
            log.warning(f"asked to stop: {where}{queued}; go on with: fit --resume latest")
        clear()
        raise SystemExit(0)
