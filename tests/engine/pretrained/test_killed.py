"""A run that was killed while its layers thaw ends as the run that never was, to the bit."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from forked import fit, said
from processes import content, finish, only_run, start

pytest.importorskip("my_project.model.pretrained", reason="rendered without the option pretrained")

import timm

pytestmark = pytest.mark.faults
FAULT = """
import os, time
from pytorch_lightning import Callback

class Fault(Callback):
    def on_train_batch_end(self, trainer, *args):
        name, step = (os.environ.get("FAULT") or "0 -1").split()
        if trainer.global_step == int(step):
            os.kill(os.getpid(), int(name))
            time.sleep(0.05)
"""
CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "num_threads": 1,
    "checkpoint": {"every_n_train_steps": 4},
    "model": {
        "class_path": "Pretrained",
        "init_args": {
            "name": "test_resnet",
            "weights": "weights.pt",
            "input_size": 32,
            "drop_path": 0.2,
            "layer_decay": 0.7,
            "freeze_epochs": 1,
            "thaw_epochs": 2,
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.005}},
            "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.005}},
        },
    },
    "data": {
        "class_path": "Fake",
        "init_args": {
            "num_train": 90,
            "num_test": 20,
            "batch_size": 8,
            "drop_last": True,
            "augment": {"flip": True},
        },
    },
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 5,
        "callbacks": [
            {"class_path": "EMAWeightAveraging", "init_args": {"decay": 0.9}},
            {"class_path": "faults.Fault"},
        ],
    },
}
NUM_STEPS = 10  # of 81 images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an undisturbed run, ``whole``."""
    made = tmp_path_factory.mktemp("thawing")
    (made / "faults.py").write_text(FAULT)
    (made / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), made / "weights.pt")
    assert fit(made, "--config=config.yaml", "--name=whole") == 0, said(made)
    return made


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_frozen_and_thawing_it_ends_as_if_it_never_was(
    number: signal.Signals, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    name, stopped = f"killed{number}", -number if number == signal.SIGKILL else 0
    steps = [NUM_STEPS // 2, NUM_STEPS, NUM_STEPS + 5, 2 * NUM_STEPS + 1, 3 * NUM_STEPS + 6]
    for count, step in enumerate(steps):
        args = [f"--resume={name}"] if count else ["--config=config.yaml", f"--name={name}"]
        assert fit(folder, *args, fault=f"{int(number)} {step}") == stopped, said(folder)
    assert fit(folder, f"--resume={name}") == 0, said(folder)

    (rows, weights, _), (got_rows, got_weights, _) = content(only_run("whole")), content(only_run(name))
    assert got_rows == rows
    assert len(rows) > 5
    torch.testing.assert_close(got_weights, weights, rtol=0, atol=0)


def test_two_processes_train_while_layers_are_frozen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FAULT", "0 -1")
    options = ["--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true", "--name=two"]
    finish(start("--config=config.yaml", "--data.init_args.batch_size=4", *options))

    (rows, weights, _), (two, of_two, _) = content(only_run("whole")), content(only_run("two"))
    assert [row.get("epoch") for row in two] == [row.get("epoch") for row in rows]
    assert of_two.keys() == weights.keys()
