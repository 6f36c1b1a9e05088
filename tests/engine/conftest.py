"""Fixtures of all tests: small, seeded, on the CPU, in a folder of their own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import my_project
import pytest
import torch
from my_project.data.fake import Fake
from my_project.model.resnet import ResNet
from pytorch_lightning import Trainer
from support import MakeFake, MakeNet, MakeTrainer

# Processes that tests start find the package as the tests do, and are one of several at a time.
os.environ["PYTHONPATH"] = str(Path(my_project.__file__).parents[1])
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts in an empty folder, from one seed, outside of any job, and leaves no variable."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "DL_JOB_ID",
        "SLURM_JOB_ID",
        "SLURM_ARRAY_JOB_ID",
        "TORCHELASTIC_RUN_ID",
        "TORCHELASTIC_RESTART_COUNT",
        "RANK",
        "LOCAL_RANK",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")  # no test writes to the server of whoever runs it
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    """Makes a quiet Trainer on the CPU; keyword arguments replace its defaults."""

    def make(**options: Any) -> Trainer:
        defaults: dict[str, Any] = {
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "num_sanity_val_steps": 0,
            "default_root_dir": str(tmp_path),
        }
        return Trainer(**{**defaults, **options})

    return make


@pytest.fixture
def make_fake() -> MakeFake:
    """Makes a small datamodule: four classes, 3 x 8 x 8."""

    def make(**options: Any) -> Fake:
        defaults = {"image_shape": (3, 8, 8), "num_train": 60, "num_test": 22, "batch_size": 16, "seed": 3}
        return Fake(**{**defaults, **options})

    return make


@pytest.fixture
def make_net() -> MakeNet:
    """Makes a narrow network for ``make_fake``."""

    def make(**options: Any) -> ResNet:
        return ResNet(**{"num_classes": 4, "width": 4, "depths": (0, 1), "stem_stride": 1, **options})

    return make
