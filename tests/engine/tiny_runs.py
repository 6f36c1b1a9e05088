"""Runs of a second, by the command line in this process."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml
from my_project.__main__ import main as run

TINY: dict[str, Any] = {
    "test_after_fit": True,
    "num_threads": 1,
    "model": {
        "class_path": "ResNet",
        "init_args": {
            "width": 4,
            "depths": [0],
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "fused": True}},
            "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.1}},
        },
    },
    "data": {"class_path": "Fake", "init_args": {"num_train": 24, "num_test": 8, "batch_size": 8}},
    "trainer": {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 1},
}


def fit(*options: str, command: str = "fit", config: dict[str, Any] = TINY) -> int:
    Path("tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return run([command, "--config", "tiny.yaml", *options])


def only_run(root: str = "runs") -> Path:
    (folder,) = Path(root).iterdir()
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows_of(folder) if row.get(name)]


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a refusal prints."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]
