"""The stages of a config: checked, and stored in the run's folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from ..errors import InputError
from ..runs.files import write_text
from ..runs.folder import PLAN
from ..trust.masking import mask, mask_words

KEYS = ("name", "change", "from", "trainable", "until")
CONDITIONS = ("epochs", "steps", "metric", "no_improvement", "class_path", "init_args")
PROCESSES = ("devices", "num_nodes", "strategy", "accelerator")  # of the trainer; fixed for a run


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage, as the config has it.

    Attributes:
        number: From 1.
        name: Also the name of its folder.
        change: Options of ``fit`` that replace those of the config.
        begin: Which weights of the previous stage it begins with.
        trainable: Patterns of names of parameters to train; empty for those that the model trains.
        until: Conditions of its end; the first that holds ends it.
    """

    number: int
    name: str
    change: dict[str, Any] = field(default_factory=dict)
    begin: Literal["best", "last"] = "best"
    trainable: tuple[str, ...] = ()
    until: dict[str, Any] = field(default_factory=dict)

    def limits(self) -> list[str]:
        """The options of the Trainer that follow from ``until``."""
        epochs, steps = self.until.get("epochs"), self.until.get("steps")
        if epochs is None and steps is None:
            return []
        return [f"--trainer.max_epochs={epochs or -1}", f"--trainer.max_steps={steps or -1}"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is asked to do.

    Attributes:
        configs: Contents of the configs, without ``stages``.
        options: Of the command line, after the configs.
        stages: As the config has them; ``read`` checks them.
        init_from: Checkpoint with the weights of the first stage.
        init_modules: The parts that are taken from there; empty for all.
    """

    configs: list[dict[str, Any]]
    options: list[str]
    stages: Any
    init_from: str | None = None
    init_modules: list[str] = field(default_factory=list)

    def read(self) -> list[Stage]:
        """The stages.

        Raises:
            InputError: A stage is not valid.
        """
        if not isinstance(self.stages, list) or not self.stages:
            raise InputError(
                f"stages: expected a list of stages, got {self.stages!r:.80}; see docs/stages.md"
            )
        stages = [_read_stage(number, given) for number, given in enumerate(self.stages, start=1)]
        names = [stage.name for stage in stages]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"stages: expected a name for each, got {twice[0]!r} twice; rename one")
        return stages

    def write(self, run: Path) -> None:
        """Write it to a run's folder, with what looks like a secret masked."""
        values = mask({**vars(self), "options": mask_words(self.options)})
        write_text(run / PLAN, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def load_plan(run: Path) -> Plan:
    """The plan of an existing run."""
    return Plan(**yaml.safe_load((run / PLAN).read_text(encoding="utf-8")))


def arguments(plan: Plan, stage: Stage, more: list[str], folder: Path) -> list[str]:
    """The command line of a stage, with its configs written into a folder; ``more`` comes last."""
    written = []
    for number, content in enumerate([*plan.configs, stage.change]):
        path = folder / f"{number}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        written.append(f"--config={path}")
    once = [] if stage.number == len(plan.stages) else ["--test_after_fit=false"]
    changed = written[-1:] if stage.change else []
    return ["fit", *written[:-1], *plan.options, *once, *changed, *stage.limits(), *more]


def _read_stage(number: int, given: Any) -> Stage:
    if not isinstance(given, dict):
        raise InputError(f"stages: expected keys and values in stage {number}, got {given!r:.80}")
    name = given.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[\w][\w.+=-]*", name):
        raise InputError(
            f"stages: expected a name of letters, digits and .+=-_ for stage {number}, got {name!r}"
        )
    _check_keys(f"stage {name}", given, KEYS)
    change, begin = given.get("change") or {}, given.get("from", "best")
    if not isinstance(change, dict):
        raise InputError(f"stage {name}: expected options of fit under change, got {change!r:.80}")
    fixed = [key for key in PROCESSES if key in (change.get("trainer") or {})]
    if fixed or "seed_everything" in change:
        key = f"trainer.{fixed[0]}" if fixed else "seed_everything"
        raise InputError(
            f"stage {name}: expected {key} to be that of the whole run; give it outside of stages"
        )
    if begin not in ("best", "last"):
        raise InputError(f"stage {name}: expected from: best or last, got {begin!r}")
    patterns = given.get("trainable", [])
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if "trainable" in given and not (patterns and all(isinstance(one, str) for one in patterns)):
        raise InputError(
            f"stage {name}: expected patterns under trainable, got {patterns!r}; or leave it out"
        )
    until = given.get("until")
    if "until" in given:
        _check_until(f"stage {name}", until)
    return Stage(
        number=number, name=name, change=change, begin=begin, trainable=tuple(patterns), until=until or {}
    )


def _check_until(where: str, until: Any) -> None:
    known = ", ".join(CONDITIONS[:-1])
    if not isinstance(until, dict) or not set(until) - {"init_args"}:
        raise InputError(f"{where}: expected a condition under until ({known}), got {until!r}")
    _check_keys(f"{where}, until", until, CONDITIONS)
    for key in ("epochs", "steps"):
        if key in until and not _is_count(until[key]):
            raise InputError(f"{where}: expected a number of {key} of at least 1, got {until[key]!r}")
    for key, bounds in _items(where, "metric", until.get("metric", {})):
        if not isinstance(bounds, dict) or len(bounds) != 1 or not set(bounds) <= {"above", "below"}:
            raise InputError(f"{where}: expected above or below for {key}, got {bounds!r}")
        if not isinstance(bound := next(iter(bounds.values())), int | float):
            raise InputError(f"{where}: expected a number for {key}, got {bound!r}")
    if "no_improvement" in until:
        stalled = dict(_items(where, "no_improvement", until["no_improvement"]))
        _check_keys(f"{where}, no_improvement", stalled, ("epochs", "monitor", "mode"))
        if not _is_count(stalled.get("epochs")):
            raise InputError(
                f"{where}: expected epochs of at least 1 for no_improvement, got {stalled.get('epochs')!r}"
            )
        if stalled.get("mode", "min") not in ("min", "max"):
            raise InputError(f"{where}: expected mode: min or max, got {stalled['mode']!r}")


def _items(where: str, key: str, given: Any) -> Any:
    if not isinstance(given, dict):
        raise InputError(f"{where}: expected keys and values under {key}, got {given!r:.80}")
    return given.items()


def _check_keys(where: str, given: dict[Any, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            raise InputError(f"{where}: expected a key that exists, got {key!r}; {hint}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
