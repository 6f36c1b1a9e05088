"""Schedules of the learning rate, made by the callables that a config gives."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pytorch_lightning import LightningModule, cli
from pytorch_lightning.cli import LRSchedulerCallable
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, ReduceLROnPlateau, SequentialLR

from .errors import InputError

# What a config gives for a schedule: a class or a partial of one, or several, one after the other.
Schedule = Callable[..., Any] | Sequence[Callable[..., Any]]
# The arguments by which torch's schedules take their length.
LENGTHS = ("total_steps", "T_max", "total_iters")
# The arguments by which they take rates in place of the optimizer's.
RATES = ("max_lr", "base_lr")


class Chained(ChainedScheduler):
    """Schedules that are stepped together: each multiplies the rate that the others leave.

    Args:
        optimizer: The optimizer whose rate is scheduled.
        schedulers: Callables that take the optimizer and return a schedule.
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRSchedulerCallable]) -> None:
        super().__init__([make(optimizer) for make in schedulers], optimizer)  # pyright: ignore[reportArgumentType]


def open_lengths(make: Callable[..., Any] | None) -> list[str]:
    """The arguments in ``LENGTHS`` that a schedule takes and that are left open, 0 or ``None``."""
    if make is None:
        return []
    if together := _together(make):
        return [name for one in together for name in open_lengths(one)]
    return [name for name in LENGTHS if takes(make, name) and _argument(make, name) in (None, 0)]


def make_schedule(
    make: Schedule, optimizer: Optimizer, num_steps: Callable[[], int], val_every: int
) -> dict[str, Any]:
    """A schedule as Lightning takes it.

    Args:
        make: A class, or a partial of one, stepped after each batch (``ReduceLROnPlateau`` after each
            validation); several follow each other.
        optimizer: The optimizer whose rate is scheduled.
        num_steps: Returns the steps of the run, the length of a schedule that leaves it open.
        val_every: Epochs from one validation to the next.

    Raises:
        InputError: The schedule refuses what it is given.
    """
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
    """Schedules in succession: each has its length, and the last one may take the steps that are left."""
    _check_many(makers)
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


def _check_many(makers: Sequence[Callable[..., Any]]) -> None:
    """Refuse schedules that cannot share a rate with others."""
    for make in makers:
        name = _class_of(make).__name__
        if any(takes(make, rate) for rate in RATES):
            raise InputError(
                f"lr_scheduler: expected schedules of the optimizer's rate in a list, got {name}, which has "
                "its own rates and warm-up; use it alone"
            )
        if inspect.isclass(_class_of(make)) and issubclass(_class_of(make), ReduceLROnPlateau):
            raise InputError(
                f"lr_scheduler: expected schedules by steps in a list, got {name}; give it alone"
            )


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
    if together := _together(make):
        _check_many(together)
        made = [partial(_make_one, one, num_steps=num_steps) for one in together]
        return _made(Chained.__name__, lambda: Chained(optimizer, made))
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
            f"lr_scheduler: {name}: {error}; give one schedule, a list of some in turn, or Chained"
        ) from error


def check_lengths(
    module: LightningModule, makers: Iterable[tuple[Schedule | None, Callable[[], int]]]
) -> None:
    """Refuse schedules that were restored from a run of another length.

    Args:
        module: The module that has the schedules.
        makers: What made each, and a function that returns its steps; the lengths that it leaves open are
            read from the state of the schedule.

    Raises:
        InputError: A schedule was made for another number of steps.
    """
    configs = module.trainer.lr_scheduler_configs
    given = [(make, num_steps) for make, num_steps in makers if make is not None]
    for config, (make, num_steps) in zip(configs, given, strict=False):
        state, before = config.scheduler.state_dict(), 0
        if isinstance(make, Sequence):
            before, make = sum(_ends(make)[-1:]), make[-1]
            state = state.get("_schedulers", [state])[-1]
        together = _together(make)
        for one, its in zip(together, state["_schedulers"], strict=True) if together else [(make, state)]:
            for name in open_lengths(one):
                if (length := its.get(name, num_steps() - before) + before) != num_steps():
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


def _together(make: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The schedules inside a ``Chained``; empty for any other."""
    return list(_argument(make, "schedulers") or []) if _class_of(make) is Chained else []
