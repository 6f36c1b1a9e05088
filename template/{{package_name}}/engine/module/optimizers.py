"""Optimizer and schedule, from the callables that a config makes of them."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import ceil, isfinite
from typing import Any

from pytorch_lightning import LightningModule, Trainer, cli
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau, SequentialLR

from ..errors import InputError
from ..foreign import callbacks_of
from .param_groups import PATTERN, SCALE, ParamGroups

# What a config gives for a schedule: a class or a partial of one, or several, one after the other.
Schedule = Callable[..., Any] | Sequence[Callable[..., Any]]
# The arguments by which torch's schedules take their length.
LENGTHS = ("total_steps", "T_max", "total_iters")
# Those by which they take rates in place of the optimizer's.
RATES = ("max_lr", "base_lr")


AXES = "num_axes"  # attribute of a parameter


def note_axes(parameters: Iterable[nn.Parameter]) -> None:
    """Note how many axes each parameter has: FSDP flattens them all, before it is known which are decayed."""
    for parameter in parameters:
        vars(parameter)[AXES] = parameter.ndim


def make_optimizer(
    make: Callable[..., Optimizer],
    parameters: Iterable[nn.Parameter],
    own: ParamGroups | None = None,
) -> Optimizer:
    """An optimizer of what is trained; biases and the parameters of normalisation are not decayed.

    Args:
        make: A class of optimizer, or a partial of one.
        parameters: Those of the model; frozen ones are left out.
        own: Options by patterns of names; a ``weight_decay`` there holds for all that match.

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
    """Says the steps of the run.

    Not asked before it must be: Lightning then loads the training data, and forgets to check them against a
    checkpoint's.

    Raises:
        InputError: When asked, if the run has no end of its own.
    """
    return lambda: _count_steps(module.trainer)


def _count_steps(trainer: Trainer) -> int:
    steps = trainer.estimated_stepping_batches
    if not isfinite(steps):
        raise InputError(
            "lr_scheduler: expected a run of a known length, got neither max_epochs nor max_steps; give "
            f"one, or the schedule's own length ({', '.join(LENGTHS)})"
        )
    # Lightning's own estimate takes the first epoch's accumulation for that of all.
    for callback in callbacks_of(trainer):
        if isinstance(callback, GradientAccumulationScheduler) and trainer.max_epochs not in (None, -1):
            sizes = [callback.get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs)]
            steps = sum(ceil(trainer.num_training_batches / size) for size in sizes)
            return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)
    return int(steps)


def _num_axes(parameter: nn.Parameter) -> int:
    return vars(parameter).get(AXES, parameter.ndim)


def open_lengths(make: Callable[..., Any] | None) -> list[str]:
    """The lengths (of ``LENGTHS``) that a schedule takes and that are left open, 0 or None."""
    if make is None:
        return []
    return [name for name in LENGTHS if takes(make, name) and _argument(make, name) in (None, 0)]


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
        schedule: Likewise, stepped each batch, on a plateau after each validation; several follow each other;
            ``None`` for none.
        parameters: Those of the model.
        num_steps: Says the steps of the run, the length of a schedule that leaves it open; see ``steps_of``.
        own: See ``make_optimizer``.
        val_every: Epochs from one validation to the next; ``None`` if they are counted by steps.

    Raises:
        InputError: The optimizer or the schedule refuses what it is given.
    """
    made = make_optimizer(optimizer, parameters, own)
    if schedule is None:
        return {"optimizer": made}
    return {"optimizer": made, "lr_scheduler": _make_schedule(schedule, made, num_steps, val_every or 1)}


def rates(optimizers: Sequence[Optimizer], parts: Sequence[str]) -> dict[str, float]:
    """The learning rate of each optimizer and group of parameters.

    ``lr``, or ``lr_<part>`` by the name of the optimizer's part; behind it the pattern by which a group was
    chosen, or the number of a group without one whose rate is another, as callbacks add them.
    """
    found: dict[str, float] = {}
    for start, optimizer in zip([f"lr_{name}" for name in parts] or ["lr"], optimizers, strict=False):
        for number, group in enumerate(optimizer.param_groups):
            rate, name = float(group["lr"]), group.get(PATTERN)
            is_other = name is None and found.get(start, rate) != rate
            found[f"{start}_{name or number}" if name or is_other else start] = rate
    return found


def _make_schedule(
    make: Schedule, optimizer: Optimizer, num_steps: Callable[[], int], val_every: int
) -> dict[str, Any]:
    if isinstance(make, Sequence):
        return {"scheduler": _make_sequence(make, optimizer, num_steps), "interval": "step"}
    schedule = _make_one(make, optimizer, num_steps)
    if isinstance(schedule, ReduceLROnPlateau):
        monitor = schedule.monitor if isinstance(schedule, cli.ReduceLROnPlateau) else "val/loss"
        return {"scheduler": schedule, "monitor": monitor, "frequency": val_every}
    return {"scheduler": schedule, "interval": "step"}


def _make_sequence(
    makers: Sequence[Callable[..., Any]], optimizer: Optimizer, num_steps: Callable[[], int]
) -> SequentialLR:
    """Schedules one after the other: each has its length, and the last may take the steps that are left."""
    own = [_class_of(make).__name__ for make in makers if any(takes(make, name) for name in RATES)]
    if own:
        raise InputError(
            f"lr_scheduler: expected schedules of the optimizer's rate in a list, got {own[0]}, which has "
            "rates and a warm-up of its own; give it alone"
        )
    ends = _ends(makers)

    def num_left() -> int:
        if (left := num_steps() - sum(ends[-1:])) > 0:
            return left
        raise InputError(
            f"lr_scheduler: expected a run longer than the {ends[-1]} steps of all schedules but the last, "
            f"got {num_steps()} steps; train longer, or shorten them"
        )

    schedules = [_make_one(make, optimizer, num_left) for make in makers]
    return _made("SequentialLR", lambda: SequentialLR(optimizer, schedules, ends))


def _ends(makers: Sequence[Callable[..., Any]]) -> list[int]:
    """The steps at which all schedules but the last one end."""
    ends: list[int] = []
    for make in makers[:-1]:
        given = [_argument(make, name) for name in LENGTHS if takes(make, name)]
        if not (length := next(filter(None, given), None)):
            raise InputError(
                f"lr_scheduler: expected a length ({', '.join(LENGTHS)}) for each schedule of a list but the "
                f"last, got none for {_class_of(make).__name__}"
            )
        ends.append(sum(ends[-1:]) + length)
    return ends


def _make_one(make: Callable[..., Any], optimizer: Optimizer, num_steps: Callable[[], int]) -> Any:
    arguments: dict[str, Any] = {name: num_steps() for name in open_lengths(make)}
    base = optimizer.defaults.get("lr")
    own = [group["lr"] for group in optimizer.param_groups]
    for name in RATES if any(rate != base for rate in own) else ():
        if takes(make, name) and isinstance(rate := _argument(make, name), float | int):
            arguments[name] = [rate * one / base for one in own]  # in the same proportion
    return _made(_class_of(make).__name__, lambda: make(optimizer, **arguments))


def _made(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ZeroDivisionError as error:
        raise InputError(
            f"lr_scheduler: expected a run with steps for each phase of {name}, got too few; train longer, "
            "or change its arguments, such as pct_start"
        ) from error
    except InputError:
        raise
    except (IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"lr_scheduler: {name}: {error}; give one schedule, or a list of some that follow each other"
        ) from error


def check_lengths(
    module: LightningModule, makers: Iterable[tuple[Schedule | None, Callable[[], int]]]
) -> None:
    """Refuse schedules that were restored from a run of another length.

    Args:
        module: Whose schedules they are.
        makers: What made each, and says its steps; the arguments that it leaves open are attributes of the
            schedule.

    Raises:
        InputError: One was made for another number of steps.
    """
    configs = module.trainer.lr_scheduler_configs
    given = [(make, num_steps) for make, num_steps in makers if make is not None]
    for config, (make, num_steps) in zip(configs, given, strict=False):
        state, before = config.scheduler.state_dict(), 0
        if isinstance(make, Sequence):
            before, make = sum(_ends(make)[-1:]), make[-1]
            state = state.get("_schedulers", [state])[-1]
        for name in open_lengths(make):
            if (length := state.get(name, num_steps() - before) + before) != num_steps():
                raise InputError(
                    f"expected the {length} steps for which the learning rate was scheduled, got "
                    f"{num_steps()} steps; to train longer, begin a new schedule: fit --init_from RUN"
                )


def takes(factory: Callable[..., Any], name: str) -> bool:
    """Whether the class behind ``factory`` has an argument ``name``.

    >>> import torch
    >>> takes(torch.optim.AdamW, "weight_decay"), takes(torch.optim.LBFGS, "weight_decay")
    (True, False)
    """
    return name in _parameters(factory)


def _argument(factory: Callable[..., Any], name: str) -> Any:
    """What ``factory`` passes for ``name``: as given, else the default; ``None`` if neither is there."""
    given: Mapping[str, Any] = factory.keywords if isinstance(factory, partial) else {}
    default = _parameters(factory)[name].default
    return given.get(name, None if default is inspect.Parameter.empty else default)


def _parameters(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_class_of(factory)).parameters


def _class_of(factory: Callable[..., Any]) -> Any:
    # From a config it is partial(instantiator, class, ...), from Python a class or partial(class, ...).
    candidates = (*factory.args, factory.func) if isinstance(factory, partial) else (factory,)
    return next(filter(inspect.isclass, candidates), factory)
