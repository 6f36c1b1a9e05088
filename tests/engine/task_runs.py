"""What the tests of the shipped tasks share: runs of the command line, and what they logged."""

import csv
import subprocess
import sys
from pathlib import Path

import my_project as package

# A module for configs, one for all tests, since a process imports one of its name: it kills a run before a
# batch, unless that is resumed, or asks it to stop after a step.
KILLER = """
import os, signal
from pytorch_lightning import Callback

class KillAt(Callback):
    def __init__(self, step: int):
        self.step = step

    def on_train_batch_start(self, trainer, *args):
        if trainer.fit_loop.total_batch_idx == self.step and not trainer.ckpt_path:
            os.kill(os.getpid(), signal.SIGKILL)

class StopAt(Callback):
    def __init__(self, step: int):
        self.step = step

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)
"""


def fit_config(config: Path, name: str, *options: str, code: int = 0) -> Path:
    """Train a config in a process of its own; the run's folder."""
    command = [sys.executable, "-m", package.__name__, "fit", f"--config={config}", "--name", name, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    (folder,) = Path("runs").glob(f"*-{name}")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def numbers_of(run: Path) -> list[dict[str, float]]:
    """What was logged, but for speed."""
    kept = [
        {key: text for key, text in row.items() if key.startswith(("train", "val", "test"))}
        for row in rows_of(run / "metrics.csv")
    ]
    return [{key: float(text) for key, text in row.items() if text} for row in kept]
