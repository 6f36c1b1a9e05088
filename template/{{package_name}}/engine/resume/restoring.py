"""The checkpoint that a command begins with, or tests."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging

from ..contracts import DataModule
from ..errors import InputError
from ..foreign import callbacks_of, logged_steps
from ..loggers import RunFolderLogger, RunLogger
from ..module import Module
from ..runs.folder import checkpoints_by_age
from .checkpoints import checkpoints_of
from .load import check_weights, load_checkpoint, step_of

NETWORKS = "networks."  # where a model that is wired in a config keeps its parts
log = logging.getLogger(__name__)


def load_newest(path: Path, run: Path | None) -> tuple[Path, dict[str, Any]]:
    """A checkpoint, and its content.

    Args:
        path: The one that is wanted.
        run: Where a run is resumed, its folder: if the checkpoint is bad, the newest good one there is taken.

    Raises:
        InputError: No checkpoint can be read.
    """
    others = [other for other in checkpoints_by_age(run) if other != path] if run else []
    for other in [path, *others]:
        try:
            return other, load_checkpoint(other)
        except InputError as error:
            if not others or other == others[-1]:
                raise
            log.warning(f"{error}: trying the one before")
    raise AssertionError("the last one was returned or refused")


def take_weights(model: LightningModule, path: Path, modules: Sequence[str] = ()) -> None:
    """Begin with the weights of a checkpoint, and with nothing else of it.

    Args:
        model: Whose weights they will be.
        path: The checkpoint.
        modules: Names of the parts of the model that are taken; none for the whole of it.

    Raises:
        InputError: It cannot be read, or its weights do not fit.
    """
    _, checkpoint = load_newest(path, None)
    if modules:
        _take_modules(model, checkpoint["state_dict"], path, modules)
        return
    if isinstance(model, Module):
        check_weights(model, checkpoint, path)
    model.load_state_dict(checkpoint["state_dict"])


def take_matching(model: LightningModule, path: Path) -> tuple[int, list[str]]:
    """Begin with the tensors of a checkpoint that have the name and the shape of one of the model.

    What a criterion is given by its config, such as weights of classes, is left as it is.

    Returns:
        How many were taken, and the parts of the model in which one was not.
    """
    _, checkpoint = load_newest(path, None)
    given, own = checkpoint["state_dict"], model.state_dict()
    parameters = dict(model.named_parameters())
    taken = {
        name: given[name]
        for name, value in own.items()
        if name in given
        and given[name].shape == value.shape
        and (name in parameters or not name.startswith("criterion."))
    }
    model.load_state_dict(taken, strict=False)
    missing = {part_of(name) for name in own.keys() - taken.keys()} - {"criterion"}
    return len(taken), sorted(missing)


def part_of(name: str) -> str:
    """The part of a model in which a tensor is; those of a graph are networks."""
    return name.removeprefix(NETWORKS).partition(".")[0]


def _take_modules(model: LightningModule, given: dict[str, Any], path: Path, modules: Sequence[str]) -> None:
    own, taken = model.state_dict(), dict[str, Any]()
    for module in modules:
        places = (f"{module}.", f"{NETWORKS}{module}.")
        expected = {name: tuple(own[name].shape) for name in own if name.startswith(places)}
        got = {name: tuple(given[name].shape) for name in given if name.startswith(places)}
        if not expected or not got:
            where, names = (type(model).__name__, own) if not expected else (str(path), given)
            known = ", ".join(dict.fromkeys(map(part_of, names)))
            raise InputError(f"init_modules: expected a part of {where}, got {module!r}; there are {known}")
        if differing := sorted(name for name in expected | got if expected.get(name) != got.get(name)):
            name = differing[0]
            raise InputError(
                f"init_modules: {module} of {path} does not fit: {len(differing)} tensors differ, first "
                f"{name}: expected {expected.get(name)}, got {got.get(name)}"
            )
        taken |= {name: given[name] for name in expected}
    model.load_state_dict(taken, strict=False)
    log.info(f"took {len(taken)} of {len(own)} tensors: {', '.join(modules)} of {path}")


def prepare_restore(trainer: Trainer, model: LightningModule, path: Path, run: Path | None) -> Path:
    """Check what the Trainer will restore, and let the loggers begin at its step.

    Args:
        trainer: Whose loggers they are.
        model: Whose weights they will be.
        path: The checkpoint.
        run: Where training goes on, the run's folder, of whose rows those after the checkpoint are dropped.

    Returns:
        The checkpoint to restore.

    Raises:
        InputError: It cannot be read, or its weights do not fit.
    """
    path, checkpoint = load_newest(path, run)
    if isinstance(model, Module):
        check_weights(model, checkpoint, path)
    if run is None:
        begin_steps_at(trainer, step_of(checkpoint))
    for logger in trainer.loggers if run else []:
        if isinstance(logger, RunFolderLogger):
            logger.forget_from(step_of(checkpoint))
    return path


def test_once(trainer: Trainer, model: LightningModule, data: LightningDataModule) -> None:
    """Test the best checkpoint, or the last where none is best, unless that was done."""
    if isinstance(data, DataModule) and not data.has_test():
        return
    (checkpoints,) = checkpoints_of(trainer)
    best = checkpoints.best_model_path or checkpoints.last_model_path
    step = step_of(load_checkpoint(best))
    if not cast(RunFolderLogger, trainer.logger).has_test(step):
        begin_steps_at(trainer, step - logged_steps(trainer))
        with _without_averaging(trainer):
            trainer.test(model, data, ckpt_path=best, weights_only=True, verbose=False)


@contextmanager
def _without_averaging(trainer: Trainer) -> Iterator[None]:
    """Test the averaged weights of a checkpoint: after a fit, Lightning would take those beside."""
    callbacks = callbacks_of(trainer)
    kept = list(callbacks)
    callbacks[:] = [callback for callback in callbacks if not isinstance(callback, WeightAveraging)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`")  # which it is
            yield
    finally:
        callbacks[:] = kept


def begin_steps_at(trainer: Trainer, step: int) -> None:
    """Let a test's numbers and pictures bear the step of the checkpoint that is tested."""
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.first_step = step
