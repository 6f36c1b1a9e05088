"""Refuses epochs that were cut short without an error.

Lightning takes any ``StopIteration`` for the end of the data: a ``next()`` without a default in a callback,
a metric or a dataset ends the epoch there, and the run goes on as if the epoch had been whole.
"""

from math import isfinite
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset

from ..errors import InputError
from ..module import Module


class WholeEpochs(Callback):
    """Refuses an epoch, a validation or a test that a ``StopIteration`` ended.

    Allowed are an ``IterableDataset`` that is shorter than its length, and -1 from ``on_train_batch_start``.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if isinstance(pl_module, Module) and not outputs:  # with several optimizers Lightning goes on
            raise _error("training", batch_idx, trainer.num_training_batches)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress
        num_batches, current = trainer.num_training_batches, progress.current
        is_skipped = current.processed == current.ready > current.started  # by on_train_batch_start
        is_ended = trainer.should_stop or trainer.global_step >= trainer.max_steps > -1
        is_short = current.ready < num_batches and not is_ended and _is_sized(trainer.train_dataloader)
        if not is_skipped and (current.ready > current.completed or (is_short and isfinite(num_batches))):
            raise _error("training", current.completed, num_batches)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loop = trainer.fit_loop.epoch_loop.val_loop if trainer.state.fn == "fit" else trainer.validate_loop
        _check_evaluation("validation", loop)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _check_evaluation("the test", trainer.test_loop)


def _check_evaluation(name: str, loop: Any) -> None:
    current = loop.batch_progress.current
    if current.ready > current.completed:
        raise _error(name, current.completed, sum(loop.max_batches))


def _is_sized(loader: Any) -> bool:
    """Whether a loader gives as many batches as it says."""
    return isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset)


def _error(name: str, num_done: int, num_batches: float) -> InputError:
    return InputError(
        f"expected {num_batches} batches in {name}, got {num_done}: a StopIteration ended it, in a model, "
        "a callback or the data; give next() a default, or raise another error"
    )
