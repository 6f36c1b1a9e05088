# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""The results of a study: rows, ``sweep.csv``, and the config of the best trial."""

import csv
import io
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from .. import PACKAGE
from ..runs.files import write_text
from ..runs.folder import CONFIG
from .space import as_options
from .study import PLACE, REASON, SLOT, Study
from .trial import read_metric
from .worker import run_folder

TABLE, BEST = "sweep.csv", "best.yaml"
STATES = {TrialState.FAIL: "failed"}


@dataclass(kw_only=True)
class Row:
    """A trial, as tables show it.

    Attributes:
        number: Number of its run folder, which all attempts of the trial share.
        state: ``waiting``, ``running``, ``complete``, ``pruned`` or ``failed``.
        values: One per objective; the last logged ones if it is running or was pruned; empty if unknown.
        params: Option to value.
        run: Its run folder.
        duration_s: Seconds of the last attempt; ``None`` if it waits.
        host: Machine that ran it.
        reason: Why it failed, or empty.
    """

    number: int
    state: str
    values: list[float]
    params: dict[str, Any]
    run: Path
    duration_s: float | None
    host: str
    reason: str


def read_rows(study: Study) -> list[Row]:
    """A row per trial."""
    return [_make_row(study, trial) for trial in study.slots()]


def write_table(study: Study, rows: list[Row]) -> None:
    """Write ``sweep.csv``."""
    metrics, keys = list(study.plan.objectives), list(study.plan.entries)
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["number", "state", *metrics, *keys, "run_folder", "duration_s", "host", "reason"])
    for row in rows:
        values = [*row.values, *[""] * (len(metrics) - len(row.values))]
        params = [row.params.get(key, "") for key in keys]
        seconds = "" if row.duration_s is None else f"{row.duration_s:.1f}"
        writer.writerow([row.number, row.state, *values, *params, row.run, seconds, row.host, row.reason])
    write_text(study.plan.root / TABLE, file.getvalue())


def write_best(study: Study) -> list[Row]:
    """Write ``best.yaml``, the config of the best trial; not for trials in stages: each stage has a config.

    Returns:
        The best trial, or those that no other one beats; the config is the first one's.
    """
    best = [_make_row(study, trial) for trial in study.best()]
    if best and not study.plan.in_stages and (best[0].run / CONFIG).is_file():
        write_text(study.plan.root / BEST, (best[0].run / CONFIG).read_text(encoding="utf-8"))
    return best


def describe_best(study: Study, best: list[Row]) -> list[str]:
    """Values, parameters and run folder of the best trials, and the command that repeats the first."""
    path, metrics = study.plan.root / BEST, list(study.plan.objectives)
    lines = [f"best: trial {row.number}  {describe(row, metrics)}  in {row.run}" for row in best]
    if best and study.plan.in_stages:
        lines.append(repeat(study, best[0]))
    elif best and path.is_file():
        lines.append(f"again: python -m {PACKAGE} fit --config {shlex.quote(str(path))}")
    elif best:
        lines.append(f"its folder is on {best[0].host}: run this command there for {BEST}")
    return lines


def repeat(study: Study, row: Row) -> str:
    """The command that repeats a trial."""
    return f"again: python -m {PACKAGE} {shlex.join(['fit', *study.plan.fit, *as_options(row.params)])}"


def describe(row: Row, metrics: list[str]) -> str:
    """A row's values, and its parameters by short names."""
    values = [f"{metric} {value:.6g}" for metric, value in zip(metrics, row.values, strict=False)]
    names = short_names(list(row.params))
    return "  ".join([*values, *(f"{name}={_short(row.params[key])}" for key, name in names.items())])


def short_names(keys: list[str]) -> dict[str, str]:
    """Dotted keys to their shortest endings that tell them apart.

    >>> short_names(["model.optimizer.lr", "model.width", "data.width"])
    {'model.optimizer.lr': 'lr', 'model.width': 'model.width', 'data.width': 'data.width'}
    """

    def shortest(key: str) -> str:
        parts = key.split(".")
        ends = [".".join(parts[first:]) for first in range(len(parts) - 1, -1, -1)]
        return next((end for end in ends if sum(f".{one}".endswith(f".{end}") for one in keys) == 1), key)

    return {key: shortest(key) for key in keys}


def _make_row(study: Study, trial: FrozenTrial) -> Row:
    run, metrics = run_folder(study.plan, trial.user_attrs[SLOT]), list(study.plan.objectives)
    values = trial.values or []
    if not values and trial.state in (TrialState.RUNNING, TrialState.PRUNED):
        logged = [read_metric(run, metric)[-1:] for metric in metrics]
        values = [value for one in logged for value in one] if all(logged) else []
    began, ended = trial.datetime_start, trial.datetime_complete or datetime.now()
    return Row(
        number=trial.user_attrs[SLOT],
        state=STATES.get(trial.state) or trial.state.name.lower(),
        values=values,
        params=_params(study, trial),
        run=run,
        duration_s=(ended - began).total_seconds() if began else None,
        host=trial.user_attrs.get(PLACE, "").partition(":")[0],
        reason=trial.user_attrs.get(REASON, ""),
    )


def _params(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    entries = study.plan.entries
    fixed = {key: entry.samples()[0] for key, entry in entries.items() if len(entry.samples()) == 1}
    known = {**fixed, **trial.system_attrs.get("fixed_params", {}), **trial.params}
    return {key: known[key] for key in entries if key in known}


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
