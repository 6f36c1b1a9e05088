# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""The space of a search: the values that each option may have."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from ..errors import InputError

if TYPE_CHECKING:
    from optuna import Trial

Kind = Literal["uniform", "log", "int"]
RANGES: tuple[Kind, ...] = ("uniform", "log", "int")


@dataclass(kw_only=True, frozen=True)
class Choices:
    """One of several values, which may be anything that YAML can hold; a single value is fixed."""

    values: tuple[Any, ...]

    def suggest(self, trial: "Trial", key: str) -> Any:
        if len(self.values) == 1:
            return self.values[0]
        by_label = {as_label(value): value for value in self.values}
        return by_label[trial.suggest_categorical(key, list(by_label))]

    def samples(self) -> tuple[Any, ...]:
        return self.values


@dataclass(kw_only=True, frozen=True)
class Range:
    """A number from ``low`` to ``high``, both included."""

    kind: Kind
    low: float
    high: float
    step: float | None = None

    def suggest(self, trial: "Trial", key: str) -> float:
        if self.kind == "int":
            return trial.suggest_int(key, int(self.low), int(self.high), step=int(self.step or 1))
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.kind == "log")

    def samples(self) -> tuple[float, float]:
        return self.low, self.high


Space = dict[str, Choices | Range]


def parse_space(raw: Any) -> Space:
    """Check a space as a config file gives it.

    Args:
        raw: Option of ``fit`` to a list of choices, a range (``uniform``, ``log`` or ``int`` with its two
            ends, and perhaps ``step``), or a fixed value.

    Raises:
        InputError: There is no entry, or one is none of these.

    >>> parse_space({"lr": {"log": [0.001, 1]}})
    {'lr': Range(kind='log', low=0.001, high=1, step=None)}
    """
    if not isinstance(raw, Mapping) or not raw:
        raise InputError(f"space: expected options of fit with what each may be, got {raw!r}")
    return {str(key): _parse_entry(str(key), entry) for key, entry in raw.items()}


def grid(space: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All combinations, the last key changing fastest.

    Args:
        space: Key to a list of values, or to a single value.

    Yields:
        Key to value, in the order of ``space``.

    Raises:
        InputError: A list is empty, or an entry is a range.

    >>> list(grid({"batch_size": [128, 256], "lr": 0.1}))
    [{'batch_size': 128, 'lr': 0.1}, {'batch_size': 256, 'lr': 0.1}]
    """
    entries = parse_space(space)
    for key, entry in entries.items():
        if isinstance(entry, Range):
            raise InputError(
                f"space: {key}: expected a list for a grid, got a range; or take sampler: random"
            )
    values = [cast(Choices, entry).values for entry in entries.values()]
    return (dict(zip(entries, point, strict=True)) for point in itertools.product(*values))


def labels(space: Space, point: Mapping[str, Any]) -> dict[str, Any]:
    """A point as Optuna takes it, without fixed values."""
    return {key: as_label(value) for key, value in point.items() if len(space[key].samples()) > 1}


def as_options(point: Mapping[str, Any]) -> list[str]:
    """A point as options of ``fit``.

    >>> as_options({"model": "ResNet", "model.depths": [0, 1], "model.dropout": None})
    ['--model=ResNet', '--model.depths=[0, 1]', '--model.dropout=null']
    """
    return [
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in point.items()
    ]


def as_label(value: Any) -> Any:
    """``value``, or JSON for it: Optuna takes only numbers, text and ``None``."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _parse_entry(key: str, entry: Any) -> Choices | Range:
    if isinstance(entry, Mapping) and "class_path" not in entry:
        return _parse_range(key, dict(entry))
    values = tuple(entry) if isinstance(entry, list | tuple) else (entry,)
    if not values:
        raise InputError(f"space: {key}: expected at least one choice, got an empty list")
    chosen = [as_label(value) for value in values]
    if repeated := [value for number, value in enumerate(chosen) if value in chosen[:number]]:
        raise InputError(f"space: {key}: expected different choices, got {repeated[0]!r} twice")
    return Choices(values=values)


def _parse_range(key: str, entry: dict[str, Any]) -> Range:
    kinds: list[Kind] = [kind for kind in RANGES if kind in entry]
    if len(kinds) != 1 or set(entry) - {*RANGES, "step"}:
        raise InputError(f"space: {key}: expected a list, a value or one of {', '.join(RANGES)}, got {entry}")
    kind, ends, step = kinds[0], entry[kinds[0]], entry.get("step")
    numbers = [*(ends if isinstance(ends, list | tuple) else [ends]), *([step] if "step" in entry else [])]
    wanted = int if kind == "int" else (int, float)
    if not all(isinstance(n, wanted) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
        raise InputError(f"space: {key}: expected {'whole ' * (kind == 'int')}numbers, got {entry}")
    if not isinstance(ends, list | tuple) or len(ends) != 2 or ends[0] >= ends[1]:
        raise InputError(f"space: {key}: expected two ends, the smaller one first, got {kind}: {ends}")
    if kind == "log" and (ends[0] <= 0 or step is not None):
        raise InputError(f"space: {key}: expected log with ends above zero and without step, got {entry}")
    if step is not None and not 0 < step <= ends[1] - ends[0]:
        raise InputError(f"space: {key}: expected a step within the range, got {step}")
    return Range(kind=kind, low=ends[0], high=ends[1], step=step)
