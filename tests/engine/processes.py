"""Runs as processes of their own, which tests kill, stop and resume."""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import torch
import yaml

CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "test_after_fit": True,
    "num_threads": 1,
    "checkpoint": {"every_n_train_steps": 3},
    "model": {
        "class_path": "noisy.Noisy",
        "init_args": {
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
            "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.01}},
        },
    },
    "data": {
        "class_path": "Fake",
        "init_args": {
            "num_train": 331,
            "num_test": 40,
            "batch_size": 16,
            "val_split": {"easy": 0.1, "hard": 0.1},
            "augment": {"padding": 2, "flip": True},
        },
    },
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 4,
        "log_every_n_steps": 7,
        "val_check_interval": 0.5,
        "callbacks": [
            {"class_path": "TopKImages", "init_args": {"k": 3, "every_n_train_steps": 5}},
            {"class_path": "ConfusionMatrix"},
        ],
    },
}

# Draws from all generators; AskAt is a scheduler that asks the run to go.
MODEL = f"""
import os, random, signal, time
import numpy as np
import torch
from pytorch_lightning import Callback
from torch import nn
from {package.__name__}.model import BaseModel
from {package.__name__}.model.normalize import Normalize
from {package.__name__}.structs import MulticlassPrediction

class Noisy(BaseModel):
    def __init__(self, *, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.normalize = Normalize()
        self.net = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(3 * 16 * 16, num_classes))

    def use_statistics(self, mean, std):
        self.normalize.set_statistics(mean, std)

    def forward(self, example):
        time.sleep(float(os.environ.get("PACE_S", 0)))
        logits = self.net(self.normalize(example.image))
        if self.training:
            logits = logits * (1 + 0.1 * random.random() + 0.1 * float(np.random.rand()))
        return MulticlassPrediction(logits=logits)

class AskAt(Callback):
    def __init__(self, step: int):
        self.step = step

    def on_train_start(self, trainer, pl_module):
        self.on_train_batch_end(trainer) if self.step == 0 and not trainer.ckpt_path else None

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)
"""
DDP = ("--trainer.devices=2", "--trainer.strategy=ddp")
Process = subprocess.Popen[str]


def write_files() -> None:
    """Put the model and ``config.yaml`` into the working folder."""
    Path("noisy.py").write_text(MODEL)
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))


def start(*options: str, launcher: tuple[str, ...] = ("-m",)) -> Process:
    """``fit`` with ``options``, in a process group of its own."""
    command = [sys.executable, *launcher, package.__name__, "fit", *options]
    return subprocess.Popen(
        command,
        env={**os.environ, "PACE_S": "0.02"},  # slow enough that a kill finds it at work
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: Process) -> str:
    """Wait for a good end; what was said."""
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    return said


def wait_for(condition: Callable[[], object], process: Process, limit_s: float = 120) -> None:
    """Wait until something holds, or the process has ended."""
    end = time.monotonic() + limit_s
    while not condition() and process.poll() is None:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def only_run(name: str) -> Path:
    (run,) = Path("runs").glob(f"*-{name}")
    return run


def content(run: Path) -> tuple[list[dict[str, str]], dict[str, torch.Tensor], dict[str, bytes]]:
    """Metrics, final weights and pictures of a run."""
    with (run / "metrics.csv").open() as file:
        rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]
    weights = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    pictures = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("figures/**/step-*")}
    return rows, weights, pictures


def assert_equal_runs(one: Path, other: Path) -> None:
    """Equal rows, bitwise equal weights, equal pictures."""
    expected, got = content(one), content(other)
    assert got[0] == expected[0]
    assert len(expected[0]) > 10
    torch.testing.assert_close(got[1], expected[1], rtol=0, atol=0)
    assert got[2] == expected[2]
    assert len(expected[2]) > 10


def assert_close_runs(one: Path, other: Path) -> None:
    """Equal rows and weights but for the order in which numbers were added, as by several processes."""
    expected, got = content(one), content(other)
    torch.testing.assert_close(got[1], expected[1], rtol=1e-3, atol=1e-5)
    for row, its in zip(expected[0], got[0], strict=True):
        assert row.keys() == its.keys()
        for key, value in row.items():
            assert float(its[key]) == pytest.approx(float(value), rel=1e-3, abs=1e-4), key
