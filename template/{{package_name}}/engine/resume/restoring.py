"""Restores the checkpoint that a command starts from, or tests."""

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

NETWORKS = "networks."  # prefix of the parts of a model that is wired in a config
log = logging.getLogger(__name__)


def load_newest(path: Path, run: Path | None) -> tuple[Path, dict[str, Any]]:
    """The path and the content of a checkpoint, or of the newest good one in its run.

    Args:
        path: The checkpoint that is wanted.
        run: Folder of the run whose other checkpoints may replace it if it cannot be read, or ``None``.

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
    raise AssertionError("the last checkpoint was returned or refused")


def take_weights(model: LightningModule, path: Path, modules: Sequence[str] = ()) -> None:
    """Load the weights of a checkpoint into a model, and nothing else.

    Args:
        model: Gets the weights.
        path: The checkpoint.
        modules: Names of the parts of the model to load; empty for all of it.

    Raises:
        InputError: The checkpoint cannot be read, or its weights do not fit.
    """
    _, checkpoint = load_newest(path, None)
    if modules:
        _take_modules(model, checkpoint["state_dict"], path, modules)
        return
    if isinstance(model, Module):
        check_weights(model, checkpoint, path)
    model.load_state_dict(checkpoint["state_dict"])


def take_matching(model: LightningModule, path: Path) -> tuple[int, list[str]]:
    """Load those tensors of a checkpoint that match one of the model in name and shape.

    Buffers of a criterion, such as class weights, come from the config and are left as they are.

    Returns:
        The number of tensors loaded, and the parts of the model in which one was not, without the criterion.
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
    """The part of a model that a tensor belongs to; parts of a graph are below ``networks``."""
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
    """Check what the Trainer will restore, and set the loggers to its step.

    Args:
        trainer: Has the loggers.
        model: Will get the weights.
        path: The checkpoint.
        run: Folder of a run that is resumed: rows logged after the checkpoint are dropped. Else ``None``.

    Returns:
        The checkpoint to restore.

    Raises:
        InputError: The checkpoint cannot be read, or its weights do not fit.
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
    """Test the best checkpoint, or the last if there is no best, unless its test is already logged."""
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
    """Test a checkpoint's averaged weights: after a fit, ``WeightAveraging`` would load the current ones."""
    callbacks = callbacks_of(trainer)
    kept = list(callbacks)
    callbacks[:] = [callback for callback in callbacks if not isinstance(callback, WeightAveraging)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`")  # on purpose
            yield
    finally:
        callbacks[:] = kept


def begin_steps_at(trainer: Trainer, step: int) -> None:
    """Log a test's numbers and pictures at the step of the tested checkpoint."""
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.first_step = step
