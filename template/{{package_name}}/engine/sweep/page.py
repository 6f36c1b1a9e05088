# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""The page of a study: history, parallel coordinates, importances, slices, and all trials."""

import os
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from ..pages import make_page
from ..runs.files import write_text
from ..runs.folder import REPORT
from .results import Row, describe_best, short_names
from .space import Choices, Range, as_label
from .study import Study
from .table import summary

PAGE = "study.html"
MIN_TRIALS = 4
HERE = Path(__file__).parent


def write_page(study: Study, rows: list[Row], best: list[Row]) -> Path:
    """Write the page, one file that needs no server and no network.

    Args:
        study: The study to show.
        rows: Rows of all trials.
        best: Rows to mark.

    Returns:
        Path of the page, in the study's folder.
    """
    path = study.plan.root / PAGE
    style, script = ((HERE / f"study.{kind}").read_text(encoding="utf-8").strip() for kind in ("css", "js"))
    data = _content(study, rows, best)
    write_text(path, make_page(f"Study {study.plan.name}", style=style, script=script, data=data))
    return path


def _content(study: Study, rows: list[Row], best: list[Row]) -> dict[str, Any]:
    plan, root = study.plan, study.plan.root
    searched = {key: entry for key, entry in plan.entries.items() if len(entry.samples()) > 1}
    names, marked = short_names(list(searched)), {row.number for row in best}
    return {
        "title": f"Study {plan.name}",
        "note": summary(plan, rows),
        "metrics": [{"key": key, "direction": direction} for key, direction in plan.objectives.items()],
        "params": [_param(key, names[key], entry) for key, entry in searched.items()],
        "trials": [_trial(row, root) | {"isBest": row.number in marked} for row in rows],
        "importances": [_importances(study, number, names) for number in range(len(plan.objectives))],
        "commands": describe_best(study, best),
    }


def _param(key: str, name: str, entry: Choices | Range) -> dict[str, Any]:
    if isinstance(entry, Range):
        return {"key": key, "name": name, "kind": entry.kind}
    choices = [_plain(as_label(value)) for value in entry.values]
    return {"key": key, "name": name, "kind": "choices", "choices": choices}


def _trial(row: Row, root: Path) -> dict[str, Any]:
    report, params = row.run / REPORT, {key: _plain(value) for key, value in row.params.items()}
    link = os.path.relpath(report, root) if report.is_file() else None
    return asdict(row) | {"run": str(row.run), "params": params, "link": link}


def _plain(value: Any) -> int | float | str:
    return value if isinstance(value, int | float) else str(value)


def _importances(study: Study, number: int, names: dict[str, str]) -> dict[str, float]:
    """Importance of each parameter for an objective, by PED-ANOVA; empty if too few trials can tell."""

    def target(trial: FrozenTrial) -> float:
        return trial.values[number]

    complete = study.trials(TrialState.COMPLETE)
    if len(complete) < MIN_TRIALS or len(set(map(target, complete))) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, about experimental features
        shares = optuna.importance.get_param_importances(
            study.study, evaluator=PedAnovaImportanceEvaluator(), target=target
        )
    return {names[key]: share for key, share in shares.items() if key in names}
