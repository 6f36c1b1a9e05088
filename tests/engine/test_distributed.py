"""Two processes give the numbers and the pictures of one."""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import my_project as package
import pytest
import yaml

CONFIG = {
    "seed_everything": 1,
    "test_after_fit": True,
    "num_threads": 1,
    "model": {
        "class_path": "own.Linear",
        "init_args": {
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.05}},
        },
    },
    "data": {
        "class_path": "Fake",
        "init_args": {
            "num_train": 131,
            "num_test": 45,  # divides neither by the batch nor by the processes
            "val_split": {"easy": 0.2, "hard": 21, "odd": 0.1},
            "demo_only": ["odd"],
            "augment": {"padding": 2, "flip": True, "cutout": 4},
            "drop_last": True,
        },
    },
    "trainer": {
        "max_epochs": 2,
        "log_every_n_steps": 2,
        "accelerator": "cpu",
        "callbacks": [
            {"class_path": "TopKImages", "init_args": {"k": 5, "every_n_train_steps": 4}},
            {"class_path": "TopKImages", "init_args": {"k": 3, "by": "entropy"}},
            {"class_path": "ConfusionMatrix"},
            {"class_path": "ErrorVsEntropy"},
            {"class_path": "Predictions"},
        ],
    },
}

# Without batch normalisation, whose statistics are those of a process.
MODEL = f"""
from torch import nn
from {package.__name__}.model import BaseModel
from {package.__name__}.model.normalize import Normalize
from {package.__name__}.structs import MulticlassPrediction

class Linear(BaseModel):
    def __init__(self, *, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.normalize = Normalize()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, num_classes))

    def use_statistics(self, mean, std):
        self.normalize.set_statistics(mean, std)

    def forward(self, example):
        return MulticlassPrediction(logits=self.net(self.normalize(example.image)))
"""


def fit(name: str, batch_size: int, devices: int, launcher: Sequence[str] = ()) -> Path:
    Path("own.py").write_text(MODEL)
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    options = ["--name", name, f"--data.init_args.batch_size={batch_size}", f"--trainer.devices={devices}"]
    strategy = ["--trainer.strategy=ddp"] if devices > 1 else []
    start = [sys.executable, "-m", *launcher, package.__name__]
    command = [*start, "fit", "--config", "config.yaml", *options, *strategy]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (folder,) = Path("runs").glob(f"*-{name}")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def assert_equal_rows(one: Path, two: Path) -> None:
    """Equal texts, and numbers that agree up to the order of a sum."""
    expected_rows, rows = rows_of(one), rows_of(two)
    assert len(expected_rows) == len(rows) > 5
    for expected, got in zip(expected_rows, rows, strict=True):
        assert expected.keys() == got.keys()
        for key, value in expected.items():
            if value.replace(".", "", 1).lstrip("-").isdigit():
                assert float(got[key]) == pytest.approx(float(value), rel=1e-4, abs=1e-5), key
            else:
                assert got[key] == value


def captions_of(path: Path) -> list[str]:
    """Captions without their last digits, which may differ by a rounding."""
    return [image["caption"][:-1] for image in json.loads(path.read_text())["images"]]


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m")


@pytest.mark.parametrize("launcher", [(), pytest.param(TORCHRUN, marks=pytest.mark.faults)], ids=len)
def test_two_processes_log_and_show_what_one_does_with_twice_the_batch(launcher: Sequence[str]) -> None:
    one = fit("one", batch_size=16, devices=1)
    two = fit("two", batch_size=8, devices=2, launcher=launcher)

    files = {path.relative_to(one) for path in one.rglob("step-*")}
    splits = ("val/easy", "val/hard", "val/odd", "test", "train")
    assert {str(path.parent) for path in files} >= {f"figures/{split}/worst" for split in splits}
    assert {path.relative_to(two) for path in two.rglob("step-*")} == files
    assert_equal_rows(one / "metrics.csv", two / "metrics.csv")
    for path in sorted(files):
        if path.suffix == ".csv":
            assert_equal_rows(one / path, two / path)
        elif path.suffix == ".json":
            assert captions_of(one / path) == captions_of(two / path), path
        elif path.parent.name == "confusion_matrix":
            assert (one / path).read_bytes() == (two / path).read_bytes(), path
    assert len(list(Path("runs").iterdir())) == 2
