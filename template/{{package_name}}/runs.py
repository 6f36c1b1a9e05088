"""A run's folder: where it is made, how it is found again, what is recorded about the run."""

import contextlib
import json
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .errors import InputError

CONFIG, METRICS, LOG, REPORT = "config.yaml", "metrics.csv", "log.txt", "report.html"
CHECKPOINTS = "checkpoints"
TIME = "%Y-%m-%dT%H:%M:%S%z"
JOB_VARIABLE = "DL_JOB_ID"  # names a job where no scheduler does: each start of it goes on in the same folder
PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "torchvision", "numpy")
log = logging.getLogger(__name__)


def reserve_run(root: Path, name: str) -> Path:
    """Make the folder ``<root>/<time or job id>-<name>``: a new one, except for a job that is restarted."""
    if not re.fullmatch(r"[\w][\w.+=-]*", name):
        raise InputError(f"expected a name of letters, digits and .+=-_, got {name!r}; choose another --name")
    job = _job_id()
    if job and is_restarted():
        (root / f"{job}-{name}").mkdir(parents=True, exist_ok=True)
        return root / f"{job}-{name}"
    base, number = f"{job or time.strftime('%Y%m%d-%H%M%S')}-{name}", 1
    if not is_rank_zero():
        return root / base  # made, and written to, by rank zero alone
    while True:
        run = root / (base if number == 1 else f"{base}-{number}")
        try:
            run.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise InputError(
                f"expected a folder that can be written, got {root} ({error.strerror}); "
                "set --trainer.default_root_dir"
            ) from error
        else:
            return run


def discard_run(run: Path, *, only_if_empty: bool) -> None:
    """Remove the folder of a run that came to nothing: no number and no checkpoint is in it."""
    if only_if_empty:
        with contextlib.suppress(OSError):
            run.rmdir()
    elif is_rank_zero() and not (run / METRICS).exists() and not (run / CHECKPOINTS).exists():
        shutil.rmtree(run, ignore_errors=True)


def is_restarted() -> bool:
    """Whether this job may have begun before: a requeue of SLURM, a failure under torchrun, a named job."""
    names = "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"
    return JOB_VARIABLE in os.environ or any(int(os.environ.get(name) or 0) for name in names)


def is_rank_zero() -> bool:
    """Whether this process is the first of its job, by the variables that launchers set."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def find_run(which: str, root: Path) -> Path:
    """The folder of a run.

    Args:
        which: ``latest`` (that has a checkpoint), a folder's name in ``root``, the name without its time,
            or a path to a folder or to something inside it.
        root: Folder of all runs.

    Raises:
        InputError: There is no such run.
    """
    path = Path(which)
    if path.suffix == ".ckpt" and not path.is_file():
        raise InputError(f"expected a checkpoint, got {path}, which is no file; see the folders in {root}")
    inside = (path, *path.parents[:2]) if path.exists() else ()
    for candidate in (*inside, root / which):
        if (candidate / CONFIG).is_file():
            return candidate
    runs = sorted(root.glob(f"*/{CONFIG}"), key=lambda config: config.stat().st_mtime)
    if which == "latest":
        whole = [config for config in runs if any((config.parent / CHECKPOINTS).glob("*.ckpt"))] or runs
        if runs and whole[-1] != runs[-1]:
            log.warning(f"{runs[-1].parent} has no checkpoint: latest is {whole[-1].parent}")
        runs = whole
    else:
        runs = [config for config in runs if config.parent.name.endswith(f"-{which}")]
    if not runs:
        names = sorted(config.parent.name for config in root.glob(f"*/{CONFIG}"))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        known = ", ".join(names[-3:]) or "none"
        raise InputError(f"expected a run in {root}, got {which!r}; runs there: {known}{more}")
    return runs[-1].parent


def find_checkpoint(run: Path, prefer: str = "last") -> Path:
    """``last.ckpt`` or ``best.ckpt`` of a run, the other one where it is missing.

    Raises:
        InputError: The run has no checkpoint.
    """
    for name in (prefer, "last", "best"):
        if (path := run / CHECKPOINTS / f"{name}.ckpt").is_file():
            return path
    raise InputError(
        f"expected a checkpoint in {run / CHECKPOINTS}, got none; the run ended before its first"
    )


def checkpoints_by_age(run: Path) -> list[Path]:
    """The checkpoints from which a run can go on, newest first."""
    return sorted((run / CHECKPOINTS).glob("*.ckpt"), key=lambda path: -path.stat().st_mtime_ns)


def describe_run() -> dict[str, object]:
    """Command, versions and git state, as plain values for a JSON file."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "started": time.strftime(TIME),
        "process": os.getpid(),
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "git": {"commit": _git("rev-parse", "HEAD"), "changes": _git("status", "--porcelain")},
    }


def write_description(run: Path, **more: object) -> None:
    """Add an entry to ``run.json``, a list with one entry for each start of the run."""
    path = run / "run.json"
    entries = json.loads(path.read_text()) if path.is_file() else []
    write_whole(path, json.dumps([*entries, {**describe_run(), **more}], indent=2) + "\n")


def write_outcome(run: Path, outcome: str) -> None:
    """Complete the entries that this process added to ``run.json``: when and how it ended."""
    path, ended = run / "run.json", {"ended": time.strftime(TIME), "outcome": outcome}
    if path.is_file():
        entries = json.loads(path.read_text())
        entries = [entry | ended if entry.get("process") == os.getpid() else entry for entry in entries]
        write_whole(path, json.dumps(entries, indent=2) + "\n")


def write_whole(path: Path, text: str, mode: int = 0o666) -> None:
    """Write a file in one go: whoever reads it, or is killed, has the old one or the new one, never half of it.

    Args:
        path: The file.
        text: What it will hold.
        mode: Its permissions, less those that the umask takes.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.touch(mode)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _job_id() -> str | None:
    if job := os.environ.get(JOB_VARIABLE):
        return job
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    elastic = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return (f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")) or (
        elastic if elastic != "none" else None
    )


def _git(*args: str) -> str | None:
    try:
        # The package's own repository, wherever the command was started from.
        git = ["git", "-C", str(Path(__file__).parent), *args]
        done = subprocess.run(git, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
