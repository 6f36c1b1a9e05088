"""All private parts of other libraries that the engine uses, each with its reason.

Written for pytorch-lightning 2.6.6, torchmetrics 1.9.0 and jsonargparse 4.53; a test of each fails when its
library changes. Nothing is replaced permanently.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch.utils import _pytree
from torchmetrics import Metric


def logged_steps(trainer: Trainer) -> int:
    """The step at which Lightning logs metrics, which is not among its public counts."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def batches_trained(trainer: Trainer) -> int:
    """Batches that made a step: with several optimizers ``global_step`` counts the steps of each."""
    if trainer.lightning_module.automatic_optimization:
        return trainer.global_step
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(progress.processed)


@contextmanager
def between_batches(trainer: Trainer) -> Iterator[None]:
    """Count the batch that was just fetched as still to come, so that a checkpoint now resumes before it.

    Lightning offers no place between two batches at which a checkpoint is exact: its own are saved before the
    last step is logged.
    """
    loop = trainer.fit_loop.epoch_loop
    is_last = loop.batch_progress.is_last_batch
    loop.batch_progress.is_last_batch = False
    # After a validation, the resumed loop skips it and counts a step too many.
    with not_begun(loop.batch_progress):
        surplus = int(loop._should_check_val_fx(cast(Any, None)))  # it asks the loader only at the last batch
        loop._batches_that_stepped -= surplus
        try:
            yield
        finally:
            loop._batches_that_stepped += surplus
            loop.batch_progress.is_last_batch = is_last


@contextmanager
def not_begun(progress: Any) -> Iterator[None]:
    """Count an epoch or a batch that has just begun as still to come."""
    for counts in (progress.total, progress.current):
        counts.ready -= 1
    try:
        yield
    finally:
        for counts in (progress.total, progress.current):
            counts.ready += 1


def batches_of_epoch(trainer: Trainer) -> int:
    """Batches of the open epoch that were trained on, while a resumed run begins; 0 between two epochs."""
    epochs: Any = trainer.fit_loop.epoch_progress.current
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress
    is_between = epochs.ready == epochs.processed or progress.is_last_batch
    return 0 if is_between else int(progress.current.processed)


def restart_loader(trainer: Trainer, num_done: int) -> None:
    """Restart the training data of this epoch, and skip its first ``num_done`` batches.

    Lightning starts them before random numbers can be restored, and has no other way to restart them.
    """
    fetcher = trainer.fit_loop._data_fetcher
    if fetcher is None:
        return
    iter(fetcher)
    for _ in range(num_done):
        next(fetcher)
    fetcher.fetched -= num_done  # Lightning adds them


def forget_sigterm(trainer: Trainer) -> None:
    """Let Lightning forget a SIGTERM that it noted before its handler was replaced by ours."""
    trainer._signal_connector.received_sigterm = False


def is_attached(module: LightningModule) -> bool:
    """Whether a Trainer runs the module."""
    try:
        return bool(module.trainer)
    except RuntimeError:  # Lightning has no other way to ask
        return False


def set_update_count(metric: Metric, count: int) -> None:
    """Set how often a metric was updated, which its state does not hold and without which it warns."""
    metric._update_count = count


def is_dry(trainer: Trainer) -> bool:
    """Whether this is a ``fast_dev_run``, which Lightning declares nowhere."""
    return bool(trainer.fast_dev_run)  # pyright: ignore[reportAttributeAccessIssue]


def batches_per_log(trainer: Trainer) -> int:
    """``log_every_n_steps``, which Lightning declares nowhere; 0 for never."""
    return trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue]


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """All callbacks, a list that Lightning declares nowhere."""
    return trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]


def is_overfitting(trainer: Trainer | None) -> bool:
    """Whether ``overfit_batches`` is on, which Lightning declares nowhere."""
    return bool(trainer and trainer.overfit_batches)  # pyright: ignore[reportAttributeAccessIssue]


def datamodule_of(trainer: Trainer) -> LightningDataModule | None:
    """The datamodule that was given, if one was: an attribute that Lightning declares nowhere."""
    return getattr(trainer, "datamodule", None)


def register_pytree(cls: type, flatten: Callable[..., Any], unflatten: Callable[..., Any]) -> None:
    """Let torch take a class apart and put it together again.

    ``torch.export.register_dataclass`` does it for classes that are dataclasses already, and checks each
    copy. ``flatten`` gives values and the names of their fields.
    """

    def flatten_with_keys(struct: Any) -> tuple[list[Any], Any]:
        values, names = flatten(struct)
        return [(_pytree.GetAttrKey(name), value) for name, value in zip(names, values, strict=True)], names

    _pytree.register_pytree_node(
        cls,
        flatten,
        unflatten,
        flatten_with_keys_fn=flatten_with_keys,  # torch.export asks for them
        serialized_type_name=f"{cls.__module__}.{cls.__qualname__}",
    )
