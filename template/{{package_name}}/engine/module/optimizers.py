"""Optimizer and schedule, from the callables that a config makes of them."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pytorch_lightning import LightningModule, Trainer, cli
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..errors import InputError
from ..foreign import callbacks_of

# The arguments by which torch's schedules take their length.
LENGTHS = ("total_steps", "T_max", "total_iters")


AXES = "num_axes"  # attribute of a parameter


def note_axes(parameters: Iterable[nn.Parameter]) -> None:
    """Note how many axes each parameter has: FSDP flattens them all, before it is known which are decayed."""
    for parameter in parameters:
        vars(parameter)[AXES] = parameter.ndim


def make_optimizer(make: Callable[..., Optimizer], parameters: Iterable[nn.Parameter]) -> Optimizer:
    """An optimizer of what is trained; biases and the parameters of normalisation are not decayed.

    Args:
        make: A class of optimizer, or a partial of one.
        parameters: Those of the model; frozen ones are left out.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not takes(make, "weight_decay"):
        return make(trained)
    decayed = [parameter for parameter in trained if vars(parameter).get(AXES, parameter.ndim) > 1]
    others = [parameter for parameter in trained if vars(parameter).get(AXES, parameter.ndim) <= 1]
    groups = {"params": decayed}, {"params": others, "weight_decay": 0.0}
    return make([group for group in groups if group["params"]])


def steps_of(module: LightningModule) -> Callable[[], int]:
    """Says the steps of the run.

    Not asked before it must be: Lightning then loads the training data, and forgets to check them against a
    checkpoint's.
    """
    return lambda: _count_steps(module.trainer)


def _count_steps(trainer: Trainer) -> int:
    # Lightning's own estimate takes the first epoch's accumulation for that of all.
    steps = int(trainer.estimated_stepping_batches)
    for callback in callbacks_of(trainer):
        if isinstance(callback, GradientAccumulationScheduler) and trainer.max_epochs not in (None, -1):
            sizes = [callback.get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs)]
            steps = sum(math.ceil(trainer.num_training_batches / size) for size in sizes)
            return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)
    return steps


def open_lengths(make: Callable[..., Any] | None) -> list[str]:
    """The lengths (of ``LENGTHS``) that a schedule takes and that are left open, 0 or None."""
    if make is None:
        return []
    return [name for name in LENGTHS if takes(make, name) and _argument(make, name) in (None, 0)]


def configure(
    optimizer: Callable[..., Optimizer],
    schedule: Callable[..., Any] | None,
    parameters: Iterable[nn.Parameter],
    num_steps: Callable[[], int],
) -> dict[str, Any]:
    """An optimizer with its schedule, as Lightning takes them.

    Args:
        optimizer: A class of optimizer, or a partial of one.
        schedule: Likewise, stepped each batch, on a plateau each epoch; ``None`` for none.
        parameters: Those of the model.
        num_steps: Says the steps of the run, the length of a schedule that leaves it open; see ``steps_of``.
    """
    made = make_optimizer(optimizer, parameters)
    if schedule is None:
        return {"optimizer": made}
    return {"optimizer": made, "lr_scheduler": _make_schedule(schedule, made, num_steps)}


def rates(optimizers: Sequence[Optimizer], parts: Sequence[str]) -> dict[str, float]:
    """The learning rate of each optimizer, as ``lr``, or by the name of its part as ``lr_<part>``."""
    names = [f"lr_{name}" for name in parts] or ["lr"]
    values = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    return dict(zip(names, values, strict=False))


def _make_schedule(
    make: Callable[..., Any], optimizer: Optimizer, num_steps: Callable[[], int]
) -> dict[str, Any]:
    schedule = make(optimizer, **{name: num_steps() for name in open_lengths(make)})
    if isinstance(schedule, ReduceLROnPlateau):
        monitor = schedule.monitor if isinstance(schedule, cli.ReduceLROnPlateau) else "val/loss"
        return {"scheduler": schedule, "monitor": monitor}
    return {"scheduler": schedule, "interval": "step"}


def check_lengths(
    configs: Iterable[Any], makers: Iterable[Callable[..., Any] | None], num_steps: Callable[[], int]
) -> None:
    """Refuse schedules that were restored from a run of another length.

    Args:
        configs: Of Lightning, each with a schedule of torch.
        makers: What made them; the arguments that they leave open are attributes of the schedules.
        num_steps: Says the steps of the run.

    Raises:
        InputError: One was made for another number of steps.
    """
    for config, make in zip(configs, filter(None, makers), strict=False):
        for name in open_lengths(make):
            if (length := vars(config.scheduler).get(name, num_steps())) != num_steps():
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
    # From a config it is partial(instantiator, class, ...), from Python a class or partial(class, ...).
    candidates = (*factory.args, factory.func) if isinstance(factory, partial) else (factory,)
    return inspect.signature(next(filter(inspect.isclass, candidates), factory)).parameters
