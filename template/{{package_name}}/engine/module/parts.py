"""Several optimizers, each for parts of the model and fed by its own terms of the loss."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.plugins import MixedPrecision
from pytorch_lightning.strategies import ParallelStrategy
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..contracts import AnyLoss
from ..errors import InputError, check_least
from ..foreign import batches_per_log
from ..processes import average
from .optimizers import configure


@dataclass(kw_only=True)
class Part:
    """How parts of the model are trained.

    Attributes:
        optimizer: Makes the optimizer from their parameters.
        lr_scheduler: Makes the schedule from the optimizer, stepped with it; ``None`` keeps the rate.
        clip_norm: Norm to which their gradients are clipped; ``None`` for no clipping.
        parts: Names of parts, or patterns of parameter names; ``None`` is the part named like this one.
        loss: Terms of the loss to minimise, by their weights; ``None`` is the term named like this one.
        every: Use one of so many batches; if data sets take turns, only batches with such a term count.
        accumulate: Number of batches for one step, which takes the mean of their gradients.
        fresh: Whether its gradient is taken after the others have stepped, from outputs that are computed
            anew; if not, all gradients are taken before the first step.

    Raises:
        InputError: A number is not positive.
    """

    optimizer: OptimizerCallable
    lr_scheduler: LRSchedulerCallable | None = None
    clip_norm: float | None = None
    parts: list[str] | None = None
    loss: list[str] | None = None
    every: int = 1
    accumulate: int = 1
    fresh: bool = False

    def __post_init__(self) -> None:
        check_least(1, every=self.every, accumulate=self.accumulate)
        check_least(0, clip_norm=self.clip_norm)

    def wanted(self, name: str, loss: AnyLoss, source: str = "") -> list[str]:
        """Its terms that the loss of a batch has; a loss may lack some only if its batch has a ``source``.

        Raises:
            InputError: The loss lacks a term, and the batch has no source.
        """
        terms = self.loss or [name]
        missing = [term for term in terms if term not in loss.terms]
        if missing and not source:
            known = ", ".join(loss.terms)
            raise InputError(f"optimizers: {name}: the loss has no term {missing[0]}; there are {known}")
        return [term for term in terms if term in loss.terms]

    def steps_of(self, num_batches: Callable[[], int]) -> Callable[[], int]:
        """A function that returns its number of steps in a run of ``num_batches()`` batches, at least 1."""
        return lambda: max(1, num_batches() // (self.every * self.accumulate))


def configure_parts(
    named: Sequence[tuple[str, nn.Parameter]], parts: Mapping[str, Part], num_batches: Callable[[], int]
) -> list[dict[str, Any]]:
    """Optimizer and schedule of each part, as Lightning takes them.

    Args:
        named: All parameters of the model.
        parts: Parts by name.
        num_batches: Returns the number of batches of the run.

    Raises:
        InputError: The model lacks a part, two optimizers want the same parameter, or a schedule is
            ``ReduceLROnPlateau``, which needs a metric of validation.
    """
    owners: dict[nn.Parameter, str] = {}
    configured = []
    for name, part in parts.items():
        own = find_parts(named, part.parts or [name])
        for parameter, label in own.items():
            if (other := owners.setdefault(parameter, name)) != name:
                raise InputError(f"optimizers: {label} belongs to both {other} and {name}; name it in one")
        made = configure(part.optimizer, part.lr_scheduler, own, part.steps_of(num_batches))
        if isinstance(made.get("lr_scheduler", {}).get("scheduler"), ReduceLROnPlateau):
            raise InputError(
                f"optimizers: {name}: expected a schedule of steps, got ReduceLROnPlateau; give another, or "
                "one optimizer for all parts"
            )
        configured.append(made)
    return configured


def find_parts(named: Sequence[tuple[str, nn.Parameter]], patterns: Sequence[str]) -> dict[nn.Parameter, str]:
    """The parameters of some parts, and the name of each.

    Raises:
        InputError: A pattern is not the name of a part and matches no parameter.
    """
    for pattern in patterns:
        if not matching(named, [pattern]):
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name, _ in named))
            raise InputError(f"optimizers: no such part: {pattern}; there are {parts}")
    return matching(named, patterns)


def matching(named: Sequence[tuple[str, nn.Parameter]], patterns: Sequence[str]) -> dict[nn.Parameter, str]:
    """The parameters whose name matches a pattern or is below it, and the first such name of each."""
    found: dict[nn.Parameter, str] = {}
    for pattern in patterns:
        for name, parameter in named:
            if name.startswith(f"{pattern}.") or fnmatchcase(name, pattern):
                found.setdefault(parameter, name)
    return found


@dataclass
class _Turn:
    """An optimizer and its part, with what the present batch has for it."""

    name: str
    part: Part
    optimizer: Any
    schedule: Any
    own: list[nn.Parameter]
    wanted: list[str]  # terms of the loss
    num_batches: int  # that had such terms, this one included

    @property
    def is_due(self) -> bool:
        return self.num_batches % self.part.every == 0

    @property
    def num_fed(self) -> int:
        return self.num_batches // self.part.every

    @property
    def is_first(self) -> bool:
        return (self.num_fed - 1) % self.part.accumulate == 0

    @property
    def is_last(self) -> bool:
        return self.num_fed % self.part.accumulate == 0


class PartSteps:
    """Takes the gradients and the steps of each part from its own terms of the loss.

    Gradients are kept unscaled, since a ``GradScaler`` may change its factor after each step, and are
    averaged over processes here: DDP waits for those of all parameters, and a part has only its own.

    Args:
        parts: Parts by name.

    Attributes:
        norms: ``grad_norm_<part>`` to ``()`` float, before clipping, at its last step; if logged or clipped.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self.parts = parts
        self.norms: dict[str, Tensor] = {}
        self._saved: dict[str, list[Tensor]] = {}
        self._num_fed = Counter[str]()  # batches that had a term of each part

    def take(
        self, module: LightningModule, loss: AnyLoss, again: Callable[[], AnyLoss], source: str = ""
    ) -> None:
        """Take the gradients of a batch, and step.

        Args:
            module: Has the optimizers.
            loss: The loss of the batch.
            again: Computes the loss anew.
            source: The data set of the batch, if several take turns; its loss may lack terms of some parts.

        Raises:
            InputError: The loss lacks a term of a part, or the part's terms do not depend on the part.
        """
        fed = {name: part.wanted(name, loss, source) for name, part in self.parts.items()}
        self._num_fed.update(name for name, wanted in fed.items() if wanted)
        turns, is_stale = [turn for turn in self._turns(module, fed) if turn.wanted and turn.is_due], False
        together = [turn for turn in turns if not turn.part.fresh]
        for group in ([together] if together else []) + [[turn] for turn in turns if turn.part.fresh]:
            loss, is_stale = again() if is_stale else loss, True
            for turn in group:
                self._backward(module, turn, loss, retain_graph=turn is not group[-1])
            for turn in group:
                if turn.is_last:
                    self._step(module, turn)

    def state(self, module: LightningModule) -> dict[str, Any]:
        """Norms, gradients accumulated for the next step, both on the CPU, and counts of batches."""
        norms, found = {name: norm.cpu() for name, norm in self.norms.items()}, {}
        for turn in self._turns(module, {name: [] for name in self.parts}) if self.parts else ():
            grads = [parameter.grad for parameter in turn.own]
            if turn.num_fed and not turn.is_last and all(grad is not None for grad in grads):
                found[turn.name] = [grad.cpu() for grad in grads if grad is not None]
        return {"norms": norms, "gradients": found, "fed": dict(self._num_fed)}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore what ``state`` returned."""
        self._saved, self._num_fed = state["gradients"], Counter(state["fed"])
        self.norms = {name: norm.to(device) for name, norm in state["norms"].items()}

    def _turns(self, module: LightningModule, wanted: Mapping[str, list[str]]) -> list[_Turn]:
        """A turn for each part, with the terms that it uses of the present batch."""
        schedules = iter(_as_list(module.lr_schedulers()))
        turns = []
        for (name, part), optimizer in zip(self.parts.items(), _as_list(module.optimizers()), strict=True):
            schedule = None if part.lr_scheduler is None else next(schedules)
            own = [one for group in optimizer.param_groups for one in group["params"]]
            turns.append(_Turn(name, part, optimizer, schedule, own, wanted[name], self._num_fed[name]))
        return turns

    def _backward(self, module: LightningModule, turn: _Turn, loss: AnyLoss, *, retain_graph: bool) -> None:
        earlier: list[Any] = [None if turn.is_first else parameter.grad for parameter in turn.own]
        if not turn.is_first and (saved := self._saved.pop(turn.name, None)):
            earlier = [grad.to(one.device) for grad, one in zip(saved, turn.own, strict=True)]
        for parameter in turn.own:
            parameter.grad = None
        total = _total(loss, turn.wanted)
        total = total / turn.part.accumulate if turn.part.accumulate > 1 else total
        strategy = module.trainer.strategy
        parallel = isinstance(strategy, ParallelStrategy)
        with strategy.block_backward_sync() if parallel else nullcontext():
            module.manual_backward(total, inputs=turn.own, retain_graph=retain_graph)
        if all(parameter.grad is None for parameter in turn.own):
            raise InputError(
                f"optimizers: {turn.name}: expected a loss that depends on its parts, got "
                f"{', '.join(turn.wanted)}, which does not; correct loss or parts"
            )
        scale = _scale(module)
        for parameter, before in zip(turn.own, earlier, strict=True):
            if parameter.grad is not None and scale is not None:
                parameter.grad /= scale
            if before is not None:
                parameter.grad = before if parameter.grad is None else before + parameter.grad

    def _step(self, module: LightningModule, turn: _Turn) -> None:
        grads = [parameter.grad for parameter in turn.own if parameter.grad is not None]
        average(grads)
        if batches_per_log(module.trainer) or turn.part.clip_norm is not None:
            self.norms[f"grad_norm_{turn.name}"] = norm = get_total_norm(grads)
            if turn.part.clip_norm is not None:
                clip_grads_with_norm_(turn.own, turn.part.clip_norm, norm)
        if (scale := _scale(module)) is not None:  # the scaler divides by it in the step
            for grad in grads:
                grad *= scale
        turn.optimizer.step()
        if turn.schedule is not None:
            turn.schedule.step()


def _total(loss: AnyLoss, wanted: Sequence[str]) -> Tensor:
    weighted = [loss.weights.get(term, 1.0) * loss.terms[term] for term in wanted]
    return weighted[0] if len(weighted) == 1 else torch.stack(weighted).sum()


def _scale(module: LightningModule) -> Tensor | None:
    """The factor of the loss under ``16-mixed``, ``()`` on the device: no host sync; else ``None``."""
    plugin = module.trainer.precision_plugin
    if not isinstance(plugin, MixedPrecision) or plugin.scaler is None:
        return None
    return plugin.scaler.scale(torch.ones((), device=module.device))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
