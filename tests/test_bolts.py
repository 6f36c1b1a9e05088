"""lightning-bolts in a generated project: the project refuses it, installs it by the remedy, and trains."""

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from answers import RECOMMENDED
from conftest import ROOT, Shell

pytestmark = pytest.mark.slow

# Shared by the scripts below: CIFAR-10 with other bytes, so without the checksums of the real one.
MADE = """\
from pl_bolts.datamodules import CIFAR10DataModule
from torchvision.datasets import CIFAR10


class MadeCIFAR10(CIFAR10):
    train_list = [[name, None] for name, _ in CIFAR10.train_list]
    test_list = [[name, None] for name, _ in CIFAR10.test_list]
    meta = {**CIFAR10.meta, "md5": None}


class MadeCIFAR10DataModule(CIFAR10DataModule):
    dataset_cls = MadeCIFAR10
"""
# Writes files in the formats of CIFAR-10 (python version) and MNIST; brightness tells the class.
WRITE_DATA = """\
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)


def draw(count, shape):
    labels = rng.permutation(np.arange(count) % 10)
    noise = rng.integers(0, 25, (count, *shape))
    return (noise + 25 * labels.reshape(-1, *[1] * len(shape))).astype(np.uint8), labels


cifar = Path("data/cifar-10-batches-py")
cifar.mkdir(parents=True)
for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
    images, labels = draw(60, (3, 32, 32))
    batch = {"data": images.reshape(60, 3072), "labels": labels.tolist(), "batch_label": name}
    (cifar / name).write_bytes(pickle.dumps(batch, protocol=2))
names = [f"thing {label}" for label in range(10)]
(cifar / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
Path("photos").mkdir()
for number, image in enumerate(images):
    Image.fromarray(image.transpose(1, 2, 0)).save(f"photos/{number:03}.png")

mnist = Path("data/MNIST/raw")
mnist.mkdir(parents=True)
for part, count in (("train", 100), ("t10k", 40)):
    images, labels = draw(count, (28, 28))
    head = struct.pack(">IIII", 2051, count, 28, 28)
    (mnist / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
    head = struct.pack(">II", 2049, count)
    (mnist / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.astype(np.uint8).tobytes())
"""
SMALL = {
    "model": {"init_args": {"width": 16}},
    "data": {
        "init_args": {
            "datamodule": {
                "class_path": "made.MadeCIFAR10DataModule",
                "init_args": {"batch_size": 16, "val_split": 0.2, "num_workers": 0},
            }
        }
    },
    "trainer": {"max_epochs": 4, "log_every_n_steps": 5, "accelerator": "cpu"},
}
GREY = {
    "test_after_fit": False,
    "model": {
        "init_args": {
            "lr_scheduler": {
                "class_path": "pl_bolts.optimizers.LinearWarmupCosineAnnealingLR",
                "init_args": {"warmup_epochs": 2, "max_epochs": 10},
            }
        }
    },
    "data": {
        "init_args": {"datamodule": {"class_path": "pl_bolts.datamodules.MNISTDataModule"}},
    },
    "trainer": {"max_epochs": 1},
}
PREDICT = """\
import json
import sys

import torch
from pytorch_lightning import Trainer

from my_project.engine.bolts.datamodules import BoltsData, import_bolts
from my_project.engine.resume.load import load_model

import_bolts()
from made import MadeCIFAR10DataModule

data = BoltsData(MadeCIFAR10DataModule(data_dir="data", batch_size=16, normalize=True))
trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
predictions = trainer.predict(load_model(sys.argv[1]), data)
print(json.dumps(torch.cat([prediction.probs for prediction in predictions]).tolist()))
"""
PROBES = [
    "pl_bolts.callbacks.PrintTableMetricsCallback",
    "pl_bolts.callbacks.TrainingDataMonitor",
    "pl_bolts.callbacks.BatchGradientVerificationCallback",
    "pl_bolts.datamodules.EMNISTDataModule",
    "pl_bolts.datamodules.ImagenetDataModule",
    "pl_bolts.datamodules.STL10DataModule",
    "pl_bolts.datasets.DummyDataset",
    "pl_bolts.losses.self_supervised_learning.nt_xent_loss",
    "pl_bolts.metrics.precision_at_k",
    "pl_bolts.models.autoencoders.VAE",
    "pl_bolts.models.detection.RetinaNet",
    "pl_bolts.models.detection.YOLO",
    "pl_bolts.models.gans.DCGAN",
    "pl_bolts.models.regression.LogisticRegression",
    "pl_bolts.models.rl.dqn_model.DQN",
    "pl_bolts.models.self_supervised.BYOL",
    "pl_bolts.models.self_supervised.SimCLR",
    "pl_bolts.models.vision.UNet",
    "pl_bolts.optimizers.LARS",
    "pl_bolts.transforms.dataset_normalizations.cifar10_normalization",
    "pl_bolts.utils.stability.under_review",
]
PROBE = """\
import sys
from pydoc import locate

import numpy as np
import pytorch_lightning as pl
from my_project.engine.bolts.datamodules import MOVED, import_bolts

import_bolts(sys.argv[1:])
import_bolts()
print(set(MOVED) & set(sys.modules), [name for name in ("object", "int", "float") if name in vars(np)])
print([name for name in sys.argv[1:] if locate(name) is None])
print(pl.cli.__name__, pl.utilities.rank_zero.__name__, pl.cli.LightningCLI.__module__)
"""


class Project:
    """A generated project with an environment of its own.

    Attributes:
        refusal: What ``fit`` said before lightning-bolts was installed.
    """

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder, self.shell, self.refusal = folder, shell, ""

    def run(self, line: str, returncode: int = 0) -> str:
        """Run a shell line, with uv if this machine has it, and return the output of both streams."""
        result = self.shell(line, self.folder, PATH=os.environ["PATH"])
        assert result.returncode == returncode, result.stdout[-6000:]
        return result.stdout

    def python(self, arguments: str, returncode: int = 0) -> str:
        return self.run(f".venv/bin/python {arguments}", returncode)

    def fit(self, name: str, *configs: dict[str, Any]) -> Path:
        """Train by configs/bolts.yaml, changed by ``configs``, and return the folder of the run."""
        options = "--config configs/bolts.yaml"
        for number, config in enumerate(configs):
            (self.folder / f"{name}{number}.yaml").write_text(yaml.safe_dump(config))
            options += f" --config {name}{number}.yaml"
        self.python(f"-m my_project fit {options} --name {name}")
        (run,) = (self.folder / "runs").glob(f"*-{name}")
        return run


def last_metrics(run: Path) -> dict[str, float]:
    """The last value of each column."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: float(text) for row in rows for key, text in row.items() if text}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, shell: Shell) -> Project:
    """A project that is initialised without lightning-bolts, and then installs it as the refusal says."""
    folder = tmp_path_factory.mktemp("bolts") / "project"
    answers = {"options": [*RECOMMENDED, "bolts"]}
    copier.run_copy(str(ROOT), folder, data=answers, defaults=True, vcs_ref="HEAD", quiet=True)
    project = Project(folder, shell)
    project.run("make init")
    project.refusal = project.python("-m my_project fit --config configs/bolts.yaml", returncode=2)
    remedy = re.search(r"run (make init .*)$", project.refusal)
    assert remedy, project.refusal
    project.run(remedy[1])
    (folder / "made.py").write_text(MADE)
    (folder / "write_data.py").write_text(WRITE_DATA)
    project.python("write_data.py")
    return project


@pytest.fixture(scope="module")
def run(project: Project) -> Path:
    """The run of a model that is trained on files in the format of CIFAR-10."""
    return project.fit("colour", SMALL)


def test_without_bolts_one_line_says_the_remedy(project: Project) -> None:
    assert project.refusal.count("\n") == 1
    assert "lightning-bolts is not installed; run make init EXTRAS=dev,bolts" in project.refusal


def test_installs_beside_todays_lightning(project: Project) -> None:
    names = "'lightning-bolts', 'pytorch-lightning'"
    code = f"from importlib.metadata import version; print(*map(version, ({names})))"

    bolts, lightning = project.python(f'-c "{code}"').split()

    assert bolts == "0.7.0"
    assert int(lightning.split(".")[0]) >= 2


def test_main_parts_import_and_lightning_keeps_its_names(project: Project) -> None:
    (project.folder / "probe.py").write_text(PROBE)

    output = project.python(f"probe.py {' '.join(PROBES)}")
    left, missing, names = output.splitlines()[-3:]  # below the warnings of bolts

    assert left == "set() []"
    assert missing == "[]"
    assert names.split() == [
        "pytorch_lightning.cli",
        "pytorch_lightning.utilities.rank_zero",
        "pytorch_lightning.cli",
    ]


def test_the_engine_tests_of_bolts_pass(project: Project) -> None:
    tests = ROOT / "tests" / "engine"

    told = project.python(f"-m pytest -q -c {tests / 'pytest.ini'} {tests / 'bolts'}")

    assert re.search(r"\d+ passed, 1 skipped", told), told  # what is said where bolts is not installed


def test_trains_validates_and_tests_on_cifar10_files(run: Path) -> None:
    steps = 4 * 240 // 16  # 300 images, a fifth of them held out

    metrics = last_metrics(run)
    with (run / "metrics.csv").open(newline="") as file:
        validated = [int(row["step"]) for row in csv.DictReader(file) if row["val/accuracy"]]

    assert validated[-1] == steps - 1, "steps count from 0"
    assert metrics["val/accuracy"] >= 0.5, "by chance 0.1"
    assert metrics["test/accuracy"] >= 0.5


def test_commands_on_a_run_find_its_data_again(project: Project, run: Path) -> None:
    expected = last_metrics(run)["test/accuracy"]

    validated = project.python(f"-m my_project validate --run {run}")
    tested = project.python(f"-m my_project test --run {run}")

    assert re.search(r"val/accuracy [01]\.\d+", validated)
    assert f"test/accuracy {expected:.4f}" in tested


def test_predicts_alike_from_the_datamodule_and_from_files(project: Project, run: Path) -> None:
    (project.folder / "predict.py").write_text(PREDICT)

    project.python(f"-m my_project predict {run} photos --output photos.csv")
    output = project.python(f"predict.py {run}/checkpoints/best.ckpt")

    probs = json.loads(next(line for line in output.splitlines() if line.startswith("[[")))
    with (project.folder / "photos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(probs) == 60
    for row, expected in zip(rows, probs, strict=True):
        got = [float(row[f"thing {label}"]) for label in range(10)]  # the names of batches.meta
        assert got == pytest.approx(expected, abs=1e-3)


def test_trains_on_grey_images_with_a_schedule_of_bolts(project: Project) -> None:
    run = project.fit("grey", SMALL, GREY)

    config = yaml.safe_load((run / "config.yaml").read_text())
    assert "LinearWarmup" in config["model"]["init_args"]["lr_scheduler"]["class_path"]
    assert config["data"]["init_args"]["datamodule"]["init_args"]["normalize"] is True
    assert last_metrics(run)["step"] == 80 // 16 - 1  # of the validation: counted from 0


def test_bare_datamodule_of_bolts_is_refused_with_the_remedy(project: Project) -> None:
    told = project.python(
        "-W ignore -m my_project fit --config configs/fake.yaml --data pl_bolts.datamodules.MNISTDataModule",
        returncode=2,
    )

    assert "expected BoltsData around datamodules of lightning-bolts; see configs/bolts.yaml" in told


def test_missing_data_is_refused_in_one_line(project: Project) -> None:
    told = project.python(
        "-m my_project fit --config configs/bolts.yaml "
        "--data.init_args.datamodule.init_args.data_dir=/dev/null",
        returncode=2,
    )

    assert "error: expected CIFAR10DataModule to find or download its data in /dev/null" in told
