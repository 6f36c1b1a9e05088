"""When a stage ends, and which parameters of the model it trains."""

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch import nn

from ..errors import InputError
from ..module import Module
from ..resume.load import find_class
from ..resume.modes import evaluate_frozen

Row = dict[str, float]  # the numbers of an epoch by their keys


class Until(Checkpoint):
    """Ends a stage after the epoch in which a condition of ``until`` holds.

    It is a Checkpoint, since Lightning calls those after the module has logged its numbers of the epoch. Its
    state is the numbers of all epochs, from which each condition is evaluated anew; so a resumed stage ends
    when it would have ended without the interruption.

    Args:
        until: ``metric``, ``no_improvement`` and ``class_path`` of a stage.
        monitor: Key and mode by which the best epoch is chosen, for a ``no_improvement`` without its own.

    Raises:
        InputError: A class cannot be found or made, or the mode of a monitor is not known.
    """

    def __init__(self, until: Mapping[str, Any], monitor: tuple[str, str]) -> None:
        self.rows: list[Row] = []
        self.is_validated = False
        self.keys = list(until.get("metric", {}))
        self._stalled: tuple[str, str, int] | None = None
        if stalled := until.get("no_improvement"):
            key = stalled.get("monitor", monitor[0])
            if (mode := stalled.get("mode", monitor[1] if key == monitor[0] else None)) is None:
                raise InputError(
                    f"until: expected mode: min or max beside {key}, since it is not checkpoint.monitor"
                )
            self.keys.append(key)
            self._stalled = key, mode, stalled["epochs"]
        self._metric: Mapping[str, Mapping[str, float]] = until.get("metric", {})
        self._own = _make_own(until) if "class_path" in until else None

    # Not as a callback's state: Lightning would warn that it is missing when the checkpoint is tested.
    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["until"] = {"rows": self.rows, "is_validated": self.is_validated}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        saved = checkpoint.get("until", {"rows": [], "is_validated": False})
        self.rows, self.is_validated = list(saved["rows"]), saved["is_validated"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_validated = self.is_validated or not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        row = {key: float(value) for key, value in trainer.callback_metrics.items()}
        if not self.is_validated:  # those of an earlier epoch
            row = {key: value for key, value in row.items() if not key.startswith("val")}
        self.check_keys(row, is_whole=self.is_validated)
        self.is_validated = False
        self.rows.append(row)
        if trainer.strategy.reduce_boolean_decision(self.is_met(), all=False):
            trainer.should_stop = True

    def check_keys(self, logged: Mapping[str, Any], *, is_whole: bool = True) -> None:
        """Refuse a key that is not logged.

        Raises:
            InputError: A key is not logged.
        """
        if missing := [key for key in self.keys if key not in logged]:
            known = ", ".join(key for key in logged if key.startswith("val/")) or ", ".join(logged)
            if is_whole or not missing[0].startswith("val"):
                raise InputError(f"until: expected a logged number, got {missing[0]!r}; there are {known}")

    def is_met(self) -> bool:
        """Whether a condition holds after the last of ``rows``."""
        last = self.rows[-1]
        for key, bounds in self._metric.items():
            value = last.get(key, math.nan)  # which is neither above nor below anything
            if value > bounds.get("above", math.inf) or value < bounds.get("below", -math.inf):
                return True
        if (
            self._stalled
            and self._stalled[0] in last
            and _num_stalled(self.rows, *self._stalled[:2]) >= (self._stalled[2])
        ):
            return True
        return self._own is not None and bool(self._own(len(self.rows), self.history()))

    def history(self) -> Any:
        """A DataFrame with a row for each epoch of the stage; NaN where a key was not logged."""
        import pandas as pd  # takes half a second

        return pd.DataFrame(self.rows, index=pd.RangeIndex(1, len(self.rows) + 1, name="epoch"))


class KeepFrozen(Callback):
    """Keeps frozen modules in evaluation mode: their statistics stay as they are, and nothing drops out."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        evaluate_frozen(pl_module)


def freeze(model: nn.Module, patterns: tuple[str, ...]) -> None:
    """Freeze all parameters, except where a pattern matches their name or that of a module above them.

    Raises:
        InputError: A pattern matches no name.
    """
    named = list(model.named_parts() if isinstance(model, Module) else model.named_parameters())
    names = [name for name, _ in named]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise InputError(
                f"trainable: expected a pattern of parameter names, got {pattern!r}, which matches none; "
                f"there are {', '.join(dict.fromkeys(name.partition('.')[0] for name in names))}"
            )
    trained = {parameter for name, parameter in named if any(_matches(name, pattern) for pattern in patterns)}
    for parameter in model.parameters():
        if parameter not in trained:
            parameter.requires_grad = False


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _num_stalled(rows: list[Row], key: str, mode: str) -> int:
    """Epochs since the best one; of equal ones the first is the best."""
    sign = 1 if mode == "min" else -1
    values = [
        (sign * row[key], epoch) for epoch, row in enumerate(rows) if not math.isnan(row.get(key, math.nan))
    ]
    return len(rows) - 1 - (min(values)[1] if values else -1)


def _make_own(until: Mapping[str, Any]) -> Callable[[int, Any], Any]:
    name, arguments = str(until["class_path"]), until.get("init_args") or {}
    cls = find_class(name, "until")
    try:
        made = cls(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"until: {name}: {error}; correct its init_args") from error
    if not callable(made):
        raise InputError(f"until: expected a class with __call__(epoch, history) -> bool, got {name}")
    return made
