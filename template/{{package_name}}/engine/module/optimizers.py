"""Optimizer and schedule, from the callables that a config makes of them."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pytorch_lightning import cli
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..errors import InputError

# The arguments by which torch's schedules take their length.
LENGTHS = ("total_steps", "T_max", "total_iters")


def make_optimizer(make: Callable[..., Optimizer], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """An optimizer of what is trained; biases and the parameters of normalisation are not decayed.

    Args:
        make: A class of optimizer, or a partial of one.
        parameters: Those of the model; frozen ones are left out.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not takes(make, "weight_decay"):
        return make(trained)
    decayed = [parameter for parameter in trained if parameter.ndim > 1]
    others = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = {"params": decayed}, {"params": others, "weight_decay": 0.0}
    return make([group for group in groups if group["params"]])


def open_lengths(make: Callable[..., Any]) -> list[str]:
    """The lengths (of ``LENGTHS``) that a schedule takes and that are left open, 0 or None."""
    return [name for name in LENGTHS if takes(make, name) and _argument(make, name) in (None, 0)]


def make_schedule(
    make: Callable[..., Any], optimizer: Optimizer, lengths: Iterable[str], num_steps: int
) -> dict[str, Any]:
    """A learning rate's schedule, as Lightning takes it: stepped each batch, on a plateau each epoch.

    Args:
        make: A class of schedule, or a partial of one.
        optimizer: Whose rate it sets.
        lengths: Names of the arguments that become ``num_steps``.
        num_steps: Steps of the run.
    """
    schedule = partial(make, **dict.fromkeys(lengths, num_steps))(optimizer)
    if isinstance(schedule, ReduceLROnPlateau):
        monitor = schedule.monitor if isinstance(schedule, cli.ReduceLROnPlateau) else "val/loss"
        return {"scheduler": schedule, "monitor": monitor}
    return {"scheduler": schedule, "interval": "step"}


def check_lengths(schedule: object, names: Iterable[str], num_steps: int) -> None:
    """Refuse a schedule that was restored from a run of another length.

    Args:
        schedule: Of torch.
        names: Its arguments, and so its attributes, that were left open.
        num_steps: Steps of the run.

    Raises:
        InputError: It was made for another number of steps.
    """
    for name in names:
        if (length := vars(schedule).get(name, num_steps)) != num_steps:
            raise InputError(
                f"expected the {length} steps for which the learning rate was scheduled, got "
                f"{num_steps} steps; to train longer, begin a new schedule: fit --init_from RUN"
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
    # From a config it is partial(instantiator, class, ...), from Python a class or partial(class, ...).
    candidates = (*factory.args, factory.func) if isinstance(factory, partial) else (factory,)
    return inspect.signature(next(filter(inspect.isclass, candidates), factory)).parameters
