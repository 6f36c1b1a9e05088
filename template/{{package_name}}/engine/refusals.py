"""Refuses parts and options of Lightning that a run cannot use, in one line with cause and remedy."""

import contextlib
import re
import traceback
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from jsonargparse import Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningModule
from pytorch_lightning.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BatchSizeFinder,
    LearningRateFinder,
    ModelPruning,
    SpikeDetection,
    StochasticWeightAveraging,
)
from pytorch_lightning.plugins import CheckpointIO
from torch import nn
from yaml.representer import RepresenterError

from . import LIGHTNING
from .contracts import DataModule
from .errors import InputError, check_least, input_error_in
from .module import Module

# Options of the Trainer that no run can use: `--help` does not offer them.
USELESS = {
    "barebones": (
        True,
        "a run without checkpoints, logger and numbers leaves nothing; try --trainer.fast_dev_run=5",
    ),
    "enable_checkpointing": (
        False,
        "a run needs checkpoints to go on, to be tested and to predict; for a trial that leaves nothing "
        "behind: --trainer.fast_dev_run=5",
    ),
}
REFUSED: dict[type[Callback], str] = {
    LearningRateFinder: "a schedule would replace the rate that it finds; use the command lr_find",
    BatchSizeFinder: "the run would have another batch size than its config says, and other lengths of "
    "schedules; use the command batch_size_find",
    StochasticWeightAveraging: "it averages after the last validation, too late for best.ckpt; "
    "use WeightAveraging or EMAWeightAveraging",
    SpikeDetection: "Lightning cannot load the state that it saves, so no checkpoint can be used; use "
    "--trainer.gradient_clip_val",
    ModelPruning: "its checkpoints do not fit the model that it prunes, so none can be used; "
    "prune the model from load_model with torch.nn.utils.prune",
}
MISSING = re.compile(
    r"Requirement '([\w-]+)[^']*' not met|(?:pip install|install it by) .*?`?([\w-]+)`?[.'\s]*$"
)
# How Lightning's errors begin on options that each of several optimizers has, and their names there.
OF_PARTS = {
    "Automatic gradient accumulation": ("accumulate_grad_batches", "accumulate"),
    "Automatic gradient clipping": ("gradient_clip_val", "clip_norm"),
}
# The least values of options that Lightning does not check itself.
LEAST = {
    "check_val_every_n_epoch": 1,
    "log_every_n_steps": 0,
    "gradient_clip_val": 0,
    "accumulate_grad_batches": 1,
    "reload_dataloaders_every_n_epochs": 0,
}
MIXED = ("16-mixed", "bf16-mixed", "16", "bf16")


def check_trainer(trainer: Namespace, *, trains: bool) -> None:
    """Refuse options of the Trainer that no run can use.

    Args:
        trainer: The options, from the config.
        trains: Whether training begins.

    Raises:
        InputError: There is such an option; the message names it.
    """
    for name, (value, why) in USELESS.items():
        if trainer[name] is value:
            raise InputError(f"trainer.{name}: expected it left out, got {str(value).lower()}: {why}")
    for name, least in LEAST.items():
        check_least(least, **{f"trainer.{name}": trainer[name]})
    is_xla = any(name in str(trainer.strategy).lower() for name in ("xla", "tpu"))
    if is_xla and find_spec("torch_xla") is None:
        raise InputError(
            f"trainer.strategy: {trainer.strategy} needs torch_xla, which is not installed; give another"
        )
    for name in ("max_epochs", "max_steps", "limit_train_batches") if trains else ():
        if trainer[name] is not None and trainer[name] == 0:
            raise InputError(
                f"trainer.{name}: expected something to train, got 0; to look at a trained model: "
                "validate --run RUN, test --run RUN"
            )


def check_parts(callbacks: Sequence[Callback], plugins: Sequence[Any], model: LightningModule) -> None:
    """Refuse callbacks and plugins that would fail, or make a run differ from its config.

    Raises:
        InputError: There is such a one; the message names it.
    """
    for callback in callbacks:
        name = type(callback).__name__
        for cls, why in REFUSED.items():
            if isinstance(callback, cls):
                raise InputError(f"trainer.callbacks: expected one that a run can use, got {name}: {why}")
        if type(callback) is BaseFinetuning:
            raise InputError(
                f"trainer.callbacks: expected a subclass of {name}, got {name} itself; write one"
            )
        if isinstance(callback, BackboneFinetuning):
            _check_backbone(name, model)
    for plugin in plugins:
        if isinstance(plugin, CheckpointIO):
            raise InputError(
                f"trainer.plugins: expected none that writes checkpoints, got {type(plugin).__name__}: "
                "the run's own plugin writes them whole or not at all; leave it out"
            )


def check_criterion(model: LightningModule, data: object) -> None:
    """Refuse a criterion whose number of class weights is not the number of classes.

    Raises:
        InputError: The numbers differ.
    """
    criterion = dict(model.named_children()).get("criterion")
    expected = data.describe().num_outputs if isinstance(data, DataModule) else None
    weight = criterion.weight if isinstance(criterion, nn.CrossEntropyLoss | nn.NLLLoss) else None
    if weight is not None and expected is not None and (got := weight.numel()) != expected:
        raise InputError(f"criterion: expected a weight for each of {expected} classes, got {got}; give all")


def clip_unfused(config: Namespace) -> bool:
    """Turn ``fused`` of an optimizer off if gradients are clipped in mixed precision, which it cannot do.

    Returns:
        Whether one was turned off.
    """
    optimizer = (config.model.get("init_args") or {}).get("optimizer")
    init_args = optimizer.get("init_args") if isinstance(optimizer, Namespace) else None
    if not (init_args and init_args.get("fused") and config.trainer.gradient_clip_val):
        return False
    if str(config.trainer.precision) not in MIXED:
        return False
    init_args["fused"] = False
    return True


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Turn errors of Lightning and jsonargparse about what the user gave into one line.

    Raises:
        InputError: In place of these errors.
    """
    try:
        yield
    except (ValueError, TypeError, ImportError, RepresenterError, MisconfigurationException) as error:
        if input_error_in(error) is None and (sentence := _sentence(error)):
            raise InputError(sentence) from error
        raise


def _check_backbone(name: str, model: LightningModule) -> None:
    if "backbone" not in dict(model.named_children()):
        parts = ", ".join(dict(model.named_children()))
        raise InputError(
            f"trainer.callbacks: {name}: expected a model with a part called backbone, got "
            f"{type(model).__name__} ({parts}); call the part that starts frozen backbone"
        )
    if isinstance(model, Module) and (model.lr_scheduler or model.parts):
        raise InputError(
            f"trainer.callbacks: {name}: expected one optimizer without a schedule, since it sets the "
            "backbone's rate itself; give lr_scheduler: null, or leave it out and use param_groups"
        )


def _sentence(error: BaseException) -> str | None:
    """What led to ``error``, if it is a known cause; else ``None``."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause)
        if isinstance(cause, RepresenterError):
            return (
                f"trainer: expected plain values, got {text.partition(', ')[2].rstrip(')')}, a default of a "
                "class in the config; give it under init_args, as text"
            )
        if found := re.search(
            r"conditioned on metric (\S+) which is not available.*?\[(.*?)\]", text, re.DOTALL
        ):
            known = ", ".join(name for name in found[2].replace("'", "").split(", ") if "val/" in name)
            return (
                f"lr_scheduler: expected monitor to be a logged number, got {found[1]!r}; there are {known}"
            )
        for start, (option, own) in OF_PARTS.items():
            if text.startswith(start):
                return (
                    f"trainer.{option}: expected it left out beside several optimizers; give {own} to each "
                    "of optimizers"
                )
        if missing := _missing(cause):
            return missing
        if isinstance(cause, ValueError) and _is_raised_by_lightning(cause):
            return f"trainer: {text}"
        cause = cause.__cause__ or cause.__context__
    return None


def _is_raised_by_lightning(error: BaseException) -> bool:
    """Whether Lightning itself raised it, and not code that it called."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).partition(".")[0] in LIGHTNING


def _missing(error: BaseException) -> str | None:
    """A sentence on a missing package, if a library raised ``error`` for want of one; else ``None``."""
    text = str(error)
    is_import = isinstance(error, ImportError) and error.name is None
    if not (is_import or "not met. HINT" in text) or not (found := MISSING.search(text)):
        return None
    part = re.search(r"class_path'?[=: ]*'[\w.]*?(\w+)'|`(\w+)`", text)
    name = next(filter(None, part.groups()), "") if part else ""
    package = found[1] or found[2]
    return f"{name or 'an option'} needs {package}, not installed; add it to pyproject.toml, then make init"
