"""What is recorded about a run when it starts and when it ends: ``run.json``."""

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..trust.masking import mask_command
from .files import write_text
from .folder import DESCRIPTION

PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "torchvision", "numpy")
TIME = "%Y-%m-%dT%H:%M:%S%z"


def describe_run() -> dict[str, object]:
    """Command (secrets masked), versions and git state, as plain values for a JSON file."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "started": time.strftime(TIME),
        "process": os.getpid(),
        "command": mask_command(shlex.join(sys.argv)),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "git": {"commit": _git("rev-parse", "HEAD"), "changes": _git("status", "--porcelain")},
    }


def write_description(run: Path, **more: object) -> None:
    """Add an entry to ``run.json``, a list with one entry for each start of the run."""
    path = run / DESCRIPTION
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    write_text(path, json.dumps([*entries, {**describe_run(), **more}], indent=2) + "\n")


def write_outcome(run: Path, outcome: str) -> None:
    """Add the time and the outcome to this process's entries in ``run.json`` that have none yet."""
    path, ended = run / DESCRIPTION, {"ended": time.strftime(TIME), "outcome": outcome}
    if path.is_file():
        entries = json.loads(path.read_text(encoding="utf-8"))
        entries = [
            entry | ended if entry.get("process") == os.getpid() and "ended" not in entry else entry
            for entry in entries
        ]
        write_text(path, json.dumps(entries, indent=2) + "\n")


def _git(*args: str) -> str | None:
    try:
        # The repository of the package, not of the current folder.
        git = ["git", "-C", str(Path(__file__).parent), *args]
        done = subprocess.run(git, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
