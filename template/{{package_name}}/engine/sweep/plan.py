"""The plan of a search, read from its config file and checked."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..config.yaml import Loader
from ..errors import InputError
from ..runs.files import write_text
from .space import Space, grid, parse_space

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("hyperband", "asha", "median", "none")
DIRECTIONS = ("minimize", "maximize")
KEYS = ("metric", "direction", "sampler", "trials", "pruner", "storage", "base", "space")
STUDY, DATABASE = "study.json", "study.db"


@dataclass(kw_only=True)
class Plan:
    """A sweep, as plain values.

    Attributes:
        name: Name of the study.
        folder: Folder of the study, in which each trial has its run folder.
        objectives: Metric to direction.
        sampler: One of ``SAMPLERS``.
        num_trials: Number of trials, or of points of the grid.
        pruner: One of ``PRUNERS``.
        storage: ``sqlite``, or a database URL.
        space: As in the config file; see ``parse_space``.
        fit: Options of ``fit`` that all trials share.
        seed: Seed of the sampler.
        num_epochs: Number of epochs of a trial, if it is known.
        num_devices: Number of devices that a trial uses.
        devices: GPUs that trials use, by their positions among the visible ones; empty for any.
        in_stages: Whether a trial trains in stages.
    """

    name: str
    folder: str
    objectives: dict[str, str]
    sampler: str
    num_trials: int
    pruner: str
    storage: str
    space: dict[str, Any]
    fit: list[str] = field(default_factory=list)
    seed: int = 0
    num_epochs: int | None = None
    num_devices: int = 1
    devices: list[int] = field(default_factory=list)
    in_stages: bool = False

    @property
    def root(self) -> Path:
        """``folder`` as a path."""
        return Path(self.folder)

    @property
    def url(self) -> str:
        """Address of the database."""
        sqlite = f"sqlite:///{(self.root / DATABASE).resolve()}"
        return sqlite if self.storage == "sqlite" else self.storage

    @property
    def entries(self) -> Space:
        """``space``, parsed."""
        return parse_space(self.space)

    @property
    def definition(self) -> dict[str, Any]:
        """What must not change when a study is continued."""
        content = {
            key: value
            for key, value in vars(self).items()
            if key in ("objectives", "sampler", "pruner", "space")
        }
        return json.loads(json.dumps(content))

    def save(self) -> None:
        """Write the plan into the study's folder, readable by its owner only: a URL may hold a password."""
        self.root.mkdir(parents=True, exist_ok=True)
        write_text(self.root / STUDY, json.dumps(asdict(self), indent=2) + "\n", mode=0o600)


def load_plan(folder: Path) -> Plan:
    """The plan that ``Plan.save`` wrote."""
    return Plan(**json.loads((folder / STUDY).read_text(encoding="utf-8")) | {"folder": str(folder)})


def read_config(path: Path, trials: int | None = None) -> tuple[dict[str, Any], list[str]]:
    """Read a sweep's config file.

    Args:
        path: The file.
        trials: Number of trials, in place of the one in the file.

    Returns:
        Arguments of ``Plan``, and the paths under ``base``, which are configs of ``fit``.

    Raises:
        InputError: There is no such file, or it has unknown keys, or a value that cannot be used.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"expected a sweep's config, got {path} ({error})") from error
    if not isinstance(raw, dict):
        raise InputError(f"expected a sweep's config, got {path}; see configs/sweep.yaml")
    if unknown := [str(key) for key in raw if key not in KEYS]:
        raise InputError(f"{path}: expected keys of {', '.join(KEYS)}, got {', '.join(unknown)}")
    content = {"sampler": "tpe", "pruner": "none", "storage": "sqlite", **raw}
    objectives = _objectives(content)
    for key, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if content[key] is None:
            content[key] = "none"  # YAML's own none
        if content[key] not in known:
            raise InputError(f"{key}: expected one of {', '.join(known)}, got {content[key]!r}")
    if content["pruner"] != "none" and len(objectives) > 1:
        raise InputError("pruner: expected none for several objectives, got " + content["pruner"])
    if content["storage"] != "sqlite" and "://" not in str(content["storage"]):
        raise InputError(f"storage: expected sqlite or a database URL, got {content['storage']!r}")
    base = content.get("base")
    base = [base] if isinstance(base, str) else base
    if not isinstance(base, list) or not base:
        raise InputError("base: expected configs of fit, such as [configs/digits.yaml]")
    parse_space(content.get("space"))
    arguments = {key: content[key] for key in ("sampler", "pruner", "storage", "space")}
    arguments |= {"objectives": objectives, "num_trials": _num_trials(content, trials)}
    return arguments, [str(path) for path in base]


def _objectives(content: dict[str, Any]) -> dict[str, str]:
    metric, direction = content.get("metric"), content.get("direction", "minimize")
    entries = metric if isinstance(metric, list) else [{"metric": metric, "direction": direction}]
    is_twofold = isinstance(metric, list) and "direction" in content
    if not entries or is_twofold or not all(map(_is_objective, entries)):
        raise InputError(
            "metric: expected a logged key with direction beside it, or a list of {metric, direction}"
        )
    objectives = {entry["metric"]: entry.get("direction", "minimize") for entry in entries}
    if len(objectives) < len(entries):
        raise InputError("metric: expected different metrics, got the same one twice")
    for direction in objectives.values():
        if direction not in DIRECTIONS:
            raise InputError(f"direction: expected one of {', '.join(DIRECTIONS)}, got {direction!r}")
    return objectives


def _is_objective(entry: Any) -> bool:
    keys = set(entry) if isinstance(entry, dict) else set()
    return "metric" in keys <= {"metric", "direction"} and isinstance(entry["metric"], str)


def _num_trials(content: dict[str, Any], trials: Any) -> int:
    if content["sampler"] == "grid":
        if trials is not None:
            raise InputError("--trials: expected none for a grid, which has its own number; leave it out")
        return sum(1 for _ in grid(content["space"]))
    trials = content.get("trials") if trials is None else trials
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise InputError(f"trials: expected a whole number of at least 1, got {trials!r}")
    return trials
