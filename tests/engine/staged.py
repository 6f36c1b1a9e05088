"""A run in three stages: a head, then all with another loss and rate, then two parts on smaller batches."""

import csv
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import yaml

CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "test_after_fit": True,
    "num_threads": 1,
    "model": {
        "class_path": "ResNet",
        "init_args": {
            "width": 4,
            "depths": [0, 0],
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01}},
            "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.01}},
        },
    },
    "data": {
        "class_path": "Fake",
        "init_args": {"num_train": 131, "num_test": 20, "batch_size": 16, "val_split": 0.1},
    },
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 9,
        "log_every_n_steps": 3,
        "callbacks": [{"class_path": "ConfusionMatrix"}],
    },
    "stages": [
        {"name": "head", "trainable": "head", "until": {"epochs": 2}},
        {
            "name": "all",
            "change": {
                "model": {
                    "init_args": {
                        "optimizer": {"init_args": {"lr": 0.001}},
                        "criterion": {"class_path": "torch.nn.CrossEntropyLoss"},
                    }
                }
            },
            "until": {"steps": 20, "no_improvement": {"epochs": 9}},
        },
        {
            "name": "tail",
            "from": "last",
            "change": {
                "data": {"init_args": {"batch_size": 8}},
                "checkpoint": {"monitor": "val/accuracy", "mode": "max"},
            },
            "trainable": ["features.1.*", "head"],
            "until": {"epochs": 2, "metric": {"val/accuracy": {"above": 2}}},
        },
    ],
}
NAMES = ["head", "all", "tail"]
NUM_STEPS = [16, 20, 30]  # of 118 images
STARTS = [0, 16, 36]


def write(stages: Any = None, **changes: Any) -> dict[str, Any]:
    """``config.yaml`` in the working folder, with other stages or other options."""
    config = deepcopy(CONFIG) | changes
    config["stages"] = config["stages"] if stages is None else stages
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return config


def only_run(name: str) -> Path:
    (run,) = Path("runs").glob(f"*-{name}")
    return run


def rows_of(run: Path) -> list[dict[str, str]]:
    """Without what is empty."""
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def checkpoint_of(run: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)


def content(run: Path) -> dict[str, Any]:
    """Rows, pictures and the weights of all stages."""
    files = {str(path.relative_to(run)): path for path in run.rglob("*")}
    return {
        "rows": rows_of(run),
        "pictures": {name: path.read_bytes() for name, path in files.items() if path.suffix == ".png"},
        "weights": {
            name: torch.load(path, weights_only=True)["state_dict"]
            for name, path in files.items()
            if path.suffix == ".ckpt"
        },
        "configs": {name: path.read_text() for name, path in files.items() if path.name == "config.yaml"},
    }


def assert_equal_runs(one: Path, other: Path) -> None:
    """Equal to the bit."""
    expected, got = content(one), content(other)
    for kind in ("rows", "pictures"):
        assert got[kind] == expected[kind], kind
    assert got["configs"].keys() == expected["configs"].keys()
    torch.testing.assert_close(got["weights"], expected["weights"], rtol=0, atol=0)
    assert len(expected["rows"]) > 10
    assert len(expected["weights"]) == 2 * len(expected["configs"])
