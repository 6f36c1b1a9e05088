"""Reads a run's folder as plain values, even while the run writes to it."""

import csv
import io
import json
import math
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ..runs.folder import CHECKPOINTS, CONFIG, DESCRIPTION, LAST, LOG, METRICS, PLAN, STAGES, TABLES
from ..trust.masking import mask, mask_command

RUNNING_S = 600.0  # a run without an outcome that wrote nothing for longer is called stopped
MAX_EPOCHS, MAX_FILES, MAX_RESULTS, MAX_CLASSES = 2000, 60, 100, 100
MAX_TEXT, MAX_VALUE = 100_000, 160  # characters of a text, and of a value of the config
# libyaml is ten times faster.
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
DUMPER = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
Points = list[tuple[int, float]]
Epochs = dict[tuple[int, int], tuple[int, int]]  # stage and epoch to the first and the last step of training


def read_run(folder: Path) -> dict[str, Any]:
    """Read all that is known about a run; what is missing or unreadable is empty, secrets are masked.

    Args:
        folder: The run's folder.

    Returns:
        ``name``; ``state``, ``epoch`` (from 1), ``max_epochs``, ``started``, ``duration_s``; ``monitor``,
        ``mode`` and ``best_step`` of the best epoch; ``results`` (key to the value there and the last one);
        ``curves`` (key to pairs of step and finite value); ``lost`` (key to the steps of NaN and infinity);
        ``epoch_starts``; ``stages`` (name and first step; ``epoch`` and ``best_step`` are of the last);
        ``classes`` (name and training examples, largest first), ``majority`` (accuracy of the largest class);
        ``config`` (dotted key to text); ``texts`` (title to text); ``files`` (paths).
    """
    config = mask(_dict(_parse(folder / CONFIG, lambda text: yaml.load(text, LOADER))))
    starts, (points, epochs) = _read_starts(folder), _read_metrics(folder / METRICS)
    fit = next((start for start in reversed(starts) if start.get("stage") == "fit"), {})
    finite = {key: [point for point in found if math.isfinite(point[1])] for key, found in points.items()}
    flat, (stages, in_stage, since) = _flat(config), _stages(folder, epochs)
    monitor, mode, max_epochs = map(flat.get, ("checkpoint.monitor", "checkpoint.mode", "trainer.max_epochs"))
    best_step = _best_step(finite.get(str(monitor), []), mode, since)
    return {
        "name": folder.name,
        "state": _state(folder, fit, is_last_epoch=str(len(in_stage)) == max_epochs),
        "epoch": max(in_stage, default=-1) + 1,
        "max_epochs": max_epochs if str(max_epochs).isdecimal() else None,
        **_times(folder, fit, starts if stages else [fit]),
        "monitor": monitor,
        "mode": mode,
        "best_step": best_step,
        "results": _results(finite, best_step, since),
        "curves": {key: found for key, found in finite.items() if found},
        "lost": {key: lost for key, found in points.items() if (lost := _steps_lost(found))},
        "epoch_starts": sorted(first for first, _ in epochs.values()) if len(epochs) <= MAX_EPOCHS else [],
        "stages": stages,
        **_balance(fit),
        "config": flat,
        "texts": _texts(fit, starts, config) | _profiles(folder),
        "files": _files(folder),
    }


def _read_starts(folder: Path) -> list[dict[str, Any]]:
    """The entries of ``run.json``, oldest first."""
    starts = _parse(folder / DESCRIPTION, json.loads)
    return [_mask_start(start) for start in starts if _dict(start)] if isinstance(starts, list) else []


def _read_metrics(path: Path) -> tuple[dict[str, Points], Epochs]:
    """Points by key, ascending by step, and the first and last logged step of each epoch."""
    text = _text(path)
    rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))  # the last may be half a row
    columns, points = next(rows, []), dict[str, Points]()
    epochs: Epochs = {}
    for cells in rows:
        row = {key: cell for key, cell in zip(columns, cells, strict=False) if cell}
        try:
            step, epoch, stage = int(row.pop("step")), int(row.pop("epoch", -1)), int(row.pop("stage", 0))
            for key, cell in row.items():
                points.setdefault(key, []).append((step, float(cell)))
        except (KeyError, ValueError):
            continue
        if epoch >= 0 and any(key.startswith("train/") for key in row):
            first, last = epochs.get((stage, epoch), (step, step))
            epochs[stage, epoch] = min(first, step), max(last, step)
    return {key: sorted(found, key=lambda point: point[0]) for key, found in points.items()}, epochs


def _steps_lost(points: Points) -> list[int]:
    return [step for step, value in points if not math.isfinite(value)]


def _stages(folder: Path, epochs: Epochs) -> tuple[list[tuple[str, int]], list[int], int]:
    """Name and first step of each stage that has begun; then the epochs and the first step of the last."""
    plan = _dict(_parse(folder / PLAN, lambda text: yaml.load(text, LOADER)))
    names = [str(_dict(stage).get("name")) for stage in plan.get("stages") or []]
    ends = dict[int, int]()
    for (stage, _), (_, last) in epochs.items():
        ends[stage] = max(last, ends.get(stage, 0))
    starts = [0, *(end + 1 for end in sorted(ends.values())[:-1])]
    in_last = [epoch for stage, epoch in epochs if stage == max(ends)]
    return list(zip(names, starts, strict=False)), in_last, starts[-1]


def _balance(fit: dict[str, Any]) -> dict[str, Any]:
    counts = [(str(name), count) for name, count in _dict(fit.get("class_counts")).items()]
    largest = sorted(counts, key=lambda pair: -pair[1])[:MAX_CLASSES]
    return {"classes": largest, "majority": fit.get("majority_accuracy")}


def _texts(fit: dict[str, Any], starts: list[dict[str, Any]], config: dict[str, Any]) -> dict[str, str]:
    others = starts[-50:] if starts != [fit] else None
    return {"Newest start": _as_text(fit), "All starts": _as_text(others), CONFIG: _as_text(config)}


def _profiles(folder: Path) -> dict[str, str]:
    """The tables of a profiler by file name, if there was one."""
    return {path.name: _text(path)[:MAX_TEXT] for path in sorted(folder.glob("*profile*.txt"))}


def _best_step(points: Points, mode: str | None, since: int) -> int | None:
    """Step of the best value from ``since`` on; the first of equal values, as the checkpoint keeps."""
    points = [point for point in points if point[0] >= since]
    choose = max if mode == "max" else min
    return choose(points, key=lambda point: point[1])[0] if points else None


def _results(curves: dict[str, Points], best_step: int | None, since: int) -> dict[str, tuple[float, float]]:
    """Values of tests, and of validation from ``since`` on: at the best step, and the last ones."""
    known = {key: points for key, points in curves.items() if points and key.startswith(("val/", "test/"))}
    keys = [key for key in known if key.startswith("test/") or known[key][-1][0] >= since][:MAX_RESULTS]
    last = {key: curves[key][-1][1] for key in keys}
    return {key: (dict(curves[key]).get(best_step or 0, last[key]), last[key]) for key in keys}


def _state(folder: Path, fit: dict[str, Any], *, is_last_epoch: bool) -> str:
    if outcome := fit.get("outcome"):
        return str(outcome)
    if not fit or is_last_epoch:
        return "finished"
    return (
        "running"
        if abs(time.time() - _changed(folder / METRICS, folder / DESCRIPTION)) < RUNNING_S
        else "stopped"
    )


def _times(folder: Path, fit: dict[str, Any], starts: list[dict[str, Any]]) -> dict[str, Any]:
    """Start and duration of the trainings in ``starts``, of those that ended and of the newest."""
    fits = [start for start in starts if start.get("stage") == "fit"]
    seconds = [_duration_s(folder, start) for start in fits if start is fits[-1] or "ended" in start]
    known = [value for value in seconds if value is not None]
    first = fits[0] if fits else fit
    return {"started": str(first.get("started") or ""), "duration_s": sum(known) if known else None}


def _duration_s(folder: Path, fit: dict[str, Any]) -> float | None:
    """Seconds of a training until its end, or until it last wrote a file."""
    try:
        started = datetime.fromisoformat(str(fit.get("started"))).timestamp()
        ended = datetime.fromisoformat(str(fit["ended"])).timestamp() if "ended" in fit else None
    except ValueError:
        return None
    # The checkpoint first: a later test adds to metrics.csv, but not to that.
    ended = ended or _changed(folder / CHECKPOINTS / LAST) or _changed(folder / METRICS)
    return ended - started if ended > started else None


def _files(folder: Path) -> list[str]:
    """Paths of the files that get a link; of the tables, the newest of each key."""
    paths = [folder / name for name in (CONFIG, DESCRIPTION, METRICS, LOG)]
    paths += sorted((folder / CHECKPOINTS).glob("*.ckpt"))
    paths += sorted((folder / STAGES).glob(f"*/{CHECKPOINTS}/*.ckpt"))
    paths += {path.parent: path for path in sorted((folder / TABLES).rglob("step-*.csv"))}.values()
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()][:MAX_FILES]


def _flat(values: dict[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= {f"{key}.{inner}": text for inner, text in _flat(value).items()}
        else:
            flat[str(key)] = str(value)[:MAX_VALUE]
    return flat


def _as_text(value: Any) -> str:
    text = yaml.dump(value, Dumper=DUMPER, sort_keys=False, allow_unicode=True, width=100) if value else ""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}\n# ... and more"


def _mask_start(start: dict[str, Any]) -> dict[str, Any]:
    if isinstance(changes := _dict(start.get("git")).get("changes"), str):
        start["git"]["changes"] = changes.splitlines()  # one line per file, as in git
    return mask({**start, "command": mask_command(str(start.get("command")))})


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parse(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(_text(path))
    except (ValueError, yaml.YAMLError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _changed(*paths: Path) -> float:
    return max(path.stat().st_mtime if path.exists() else 0.0 for path in paths)
