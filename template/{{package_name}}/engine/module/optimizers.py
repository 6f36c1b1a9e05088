"""Makes optimizers and schedules from the callables that a config gives."""

from collections.abc import Callable, Iterable, Sequence
from math import ceil, isfinite
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.optim import Optimizer

from ..errors import InputError
from ..foreign import callbacks_of
from ..schedules import LENGTHS, Schedule, make_schedule, takes
from .param_groups import PATTERN, SCALE, ParamGroups

AXES = "num_axes"  # attribute of a parameter


def note_axes(parameters: Iterable[nn.Parameter]) -> None:
    """Note how many axes each parameter has: FSDP flattens them before weight decay is assigned by that."""
    for parameter in parameters:
        vars(parameter)[AXES] = parameter.ndim


def make_optimizer(
    make: Callable[..., Optimizer],
    parameters: Iterable[nn.Parameter],
    own: ParamGroups | None = None,
) -> Optimizer:
    """An optimizer of the trained parameters; those of at most one axis, such as biases, are not decayed.

    Args:
        make: A class of optimizer, or a partial of one.
        parameters: The model's parameters; frozen ones are left out.
        own: Options by patterns of names; a ``weight_decay`` there holds for all parameters that match.

    Raises:
        InputError: The optimizer refuses an option, or a pattern matches nothing.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = []
    for options, members in own.split(trained) if own else [({}, trained)]:
        if not takes(make, "weight_decay") or "weight_decay" in options:
            groups.append({**options, "params": members})
            continue
        decayed = [parameter for parameter in members if _num_axes(parameter) > 1]
        others = [parameter for parameter in members if _num_axes(parameter) <= 1]
        groups += [{**options, "params": decayed}, {**options, "params": others, "weight_decay": 0.0}]
    try:
        made = make([group for group in groups if group["params"]])
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer: {error}; correct its arguments in the config") from error
    if own:
        own.check(made)
    for group in made.param_groups:
        group["lr"] *= group.pop(SCALE, 1.0)
    return made


def steps_of(module: LightningModule) -> Callable[[], int]:
    """A function that returns the number of steps of the run.

    Call it only when needed: Lightning then loads the training data, and does not check them against the
    checkpoint's any more.

    Raises:
        InputError: When called, if the run has neither ``max_epochs`` nor ``max_steps``.
    """
    return lambda: _count_steps(module.trainer)


def _count_steps(trainer: Trainer) -> int:
    steps = trainer.estimated_stepping_batches
    if not isfinite(steps):
        raise InputError(
            "lr_scheduler: expected a run of a known length, got neither max_epochs nor max_steps; give "
            f"one, or the schedule's own length ({', '.join(LENGTHS)})"
        )
    # Lightning's own estimate assumes that all epochs accumulate like the first.
    for callback in callbacks_of(trainer):
        if isinstance(callback, GradientAccumulationScheduler) and trainer.max_epochs not in (None, -1):
            sizes = [callback.get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs)]
            steps = sum(ceil(trainer.num_training_batches / size) for size in sizes)
            return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)
    return int(steps)


def _num_axes(parameter: nn.Parameter) -> int:
    return vars(parameter).get(AXES, parameter.ndim)


def configure(
    optimizer: Callable[..., Optimizer],
    schedule: Schedule | None,
    parameters: Iterable[nn.Parameter],
    num_steps: Callable[[], int],
    own: ParamGroups | None = None,
    val_every: int | None = None,
) -> dict[str, Any]:
    """An optimizer with its schedule, as Lightning takes them.

    Args:
        optimizer: A class of optimizer, or a partial of one.
        schedule: A class of schedule, or a partial of one, stepped each batch (``ReduceLROnPlateau``: after
            each validation); several follow each other; ``None`` for none.
        parameters: The model's parameters.
        num_steps: Returns the run's steps, for a schedule that is given no length; see ``steps_of``.
        own: See ``make_optimizer``.
        val_every: Epochs from one validation to the next; ``None`` if steps decide that.

    Raises:
        InputError: The optimizer or the schedule refuses what it is given.
    """
    made = make_optimizer(optimizer, parameters, own)
    if schedule is None:
        return {"optimizer": made}
    return {"optimizer": made, "lr_scheduler": make_schedule(schedule, made, num_steps, val_every or 1)}


def rates(optimizers: Sequence[Optimizer], parts: Sequence[str]) -> dict[str, float]:
    """The learning rate of each optimizer and group of parameters.

    Keys are ``lr``, or ``lr_<part>`` if parts have optimizers; then ``_<pattern>`` for a group chosen by a
    pattern, and ``_<number>`` for any other, such as a callback adds, whose rate differs from the first.
    """
    found: dict[str, float] = {}
    for start, optimizer in zip([f"lr_{name}" for name in parts] or ["lr"], optimizers, strict=False):
        for number, group in enumerate(optimizer.param_groups):
            rate, name = float(group["lr"]), group.get(PATTERN)
            is_other = name is None and found.get(start, rate) != rate
            found[f"{start}_{name or number}" if name or is_other else start] = rate
    return found
