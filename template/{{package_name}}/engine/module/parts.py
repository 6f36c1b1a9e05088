"""Several optimizers, each for a part of the model and fed by its own term of the loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn
from torch.nn.utils import clip_grad_norm_

from ..contracts import AnyLoss
from ..errors import InputError
from .optimizers import configure


@dataclass(kw_only=True)
class Part:
    """How a part of the model is trained.

    Attributes:
        optimizer: Makes the optimizer from the part's parameters.
        lr_scheduler: Makes the schedule from the optimizer, stepped each batch; ``None`` keeps the rate.
        clip_norm: Largest norm of the part's gradients; ``None`` for any.
    """

    optimizer: OptimizerCallable
    lr_scheduler: LRSchedulerCallable | None = None
    clip_norm: float | None = None


def configure_parts(
    model: nn.Module, parts: Mapping[str, Part], num_steps: Callable[[], int]
) -> list[dict[str, Any]]:
    """Optimizer and schedule of each part, as Lightning takes them.

    Args:
        model: Has the parts as attributes.
        parts: By their names.
        num_steps: Says the steps of the run.

    Raises:
        InputError: The model has no such part.
    """
    children = {name: child for name, child in model.named_children() if list(child.parameters())}
    configured = []
    for name, part in parts.items():
        if name not in children:
            raise InputError(f"optimizers: no such part: {name}; there are {', '.join(children)}")
        parameters = children[name].parameters()
        configured.append(configure(part.optimizer, part.lr_scheduler, parameters, num_steps))
    return configured


def step_parts(module: LightningModule, parts: Mapping[str, Part], loss: AnyLoss) -> None:
    """Let each part follow its own term of the loss; all gradients are taken before the first step.

    Raises:
        InputError: The loss has no term of a part's name.
    """
    if missing := [name for name in parts if name not in loss.terms]:
        raise InputError(f"the loss has no term for part {missing[0]}; there are {', '.join(loss.terms)}")
    optimizers, schedules = _as_list(module.optimizers()), _as_list(module.lr_schedulers())
    weights = [[one for group in each.param_groups for one in group["params"]] for each in optimizers]
    for number, (name, own) in enumerate(zip(parts, weights, strict=True)):
        optimizers[number].zero_grad()
        is_last = number + 1 == len(parts)
        module.manual_backward(loss.terms[name], inputs=own, retain_graph=not is_last)
    for part, optimizer, own in zip(parts.values(), optimizers, weights, strict=True):
        if part.clip_norm is not None:
            clip_grad_norm_(own, part.clip_norm)
        optimizer.step()
    for schedule in schedules:
        if not isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
