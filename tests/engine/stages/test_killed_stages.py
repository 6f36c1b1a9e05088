"""A run in stages, killed and asked to stop anywhere, ends as the run that never was, to the bit."""

import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from forked import fit, said
from processes import finish, start
from staged import CONFIG, NUM_STEPS, assert_equal_runs, checkpoint_of, only_run, rows_of

pytestmark = pytest.mark.faults
DDP = ("--trainer.devices=2", "--trainer.strategy=ddp")
# FAULT is a signal, a place and a number: `9 step 17`, `15 setup 2`.
PARTS = """
import os, time
from pytorch_lightning import Callback
from torch import nn
from my_project.engine.loggers import first_step_of, stage_of
from my_project.model import BaseModel
from my_project.model.normalize import Normalize
from my_project.structs import MulticlassPrediction

class Fault(Callback):
    def _strike(self, trainer, place):
        name, at, wanted = (os.environ.get("FAULT") or "0 - -1").split()[:3]
        if trainer.fast_dev_run or not trainer.is_global_zero or at != place:
            return
        step = first_step_of(trainer) + trainer.global_step
        if int(wanted) != (step if place == "step" else stage_of(trainer).number):
            return
        if "group" in os.environ["FAULT"]:
            os.killpg(os.getpgid(0), int(name))
        os.kill(os.getpid(), int(name))
        time.sleep(0.05)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self._strike(trainer, "step")

    def setup(self, trainer, pl_module, stage):
        if stage == "fit":
            self._strike(trainer, "setup")

    def on_test_start(self, trainer, pl_module):
        self._strike(trainer, "test")

    def teardown(self, trainer, pl_module, stage):
        if stage == "fit":
            self._strike(trainer, "teardown")

class Linear(BaseModel):
    '''Without batch normalisation, whose statistics are those of a process.'''

    def __init__(self, *, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.normalize = Normalize()
        self.body, self.head = nn.Linear(3 * 16 * 16, 8), nn.Linear(8, num_classes)

    def use_statistics(self, mean, std):
        self.normalize.set_statistics(mean, std)

    def forward(self, example):
        code = self.body(self.normalize(example.image).flatten(1)).relu()
        return MulticlassPrediction(logits=self.head(code))

class At:
    '''Ends a stage when a loss is as in the run that it is made for.'''

    def __init__(self, epoch):
        self.epoch = epoch

    def __call__(self, epoch, history):
        return len(history) == epoch == self.epoch
"""
SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM}


def write(folder: Path, model: str = "ResNet", every: int | None = 5, **data: Any) -> None:
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    config["trainer"]["callbacks"].append({"class_path": "parts.Fault"})
    config["checkpoint"] = {"every_n_train_steps": every}
    config["data"]["init_args"] |= {"augment": {"padding": 2, "flip": True}, **data}
    if model != "ResNet":
        init_args = config["model"]["init_args"]
        config["model"] = {"class_path": f"parts.{model}"}
        config["model"]["init_args"] = {key: init_args[key] for key in ("optimizer", "lr_scheduler")}
        config["stages"][2]["trainable"] = ["body.bias", "head"]
    config["stages"][2]["until"]["class_path"] = "parts.At"
    config["stages"][2]["until"]["init_args"] = {"epoch": 2}
    (folder / "parts.py").write_text(PARTS)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an undisturbed run, ``whole``."""
    made = tmp_path_factory.mktemp("stages")
    write(made)
    assert fit(made, "--config=config.yaml", "--name=whole") == 0, said(made)
    return made


def begin_and_resume(folder: Path, name: str, faults: list[str], number: int) -> None:
    """Kill a run at each fault in turn, and let it end."""
    (folder / "said.txt").write_text("")
    stopped = -number if number == signal.SIGKILL else 0
    for count, fault in enumerate(faults):
        args = [f"--resume={name}"] if count else ["--config=config.yaml", f"--name={name}"]
        assert fit(folder, *args, fault=f"{number} {fault}") == stopped, said(folder)
    assert fit(folder, f"--resume={name}") == 0, said(folder)


@pytest.mark.parametrize("signal_name", SIGNALS)
def test_killed_at_random_steps_it_ends_as_if_it_never_was(
    signal_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    number = SIGNALS[signal_name]
    count = int(os.environ.get("NUM_KILLS", 5))
    steps = sorted(random.Random(signal_name).sample(range(1, sum(NUM_STEPS)), count))

    begin_and_resume(folder, f"random{number}", [f"step {step}" for step in steps], number)
    assert_equal_runs(only_run("whole"), only_run(f"random{number}"))


def test_killed_between_its_stages_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    places = ["teardown 1", "setup 2", "teardown 2", "setup 3", "teardown 3"]
    begin_and_resume(folder, "between", places, signal.SIGKILL)
    assert_equal_runs(only_run("whole"), only_run("between"))


def test_killed_before_the_test_it_is_tested_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    begin_and_resume(folder, "tested", ["test 3"], signal.SIGKILL)
    assert fit(folder, "--resume=tested") == 0
    assert "the stages have ended, the last is tail" in said(folder)
    assert_equal_runs(only_run("whole"), only_run("tested"))


def test_killed_before_the_first_checkpoint_of_a_stage_its_rows_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, every=None)
    assert fit(tmp_path, "--config=config.yaml", "--name=whole") == 0, said(tmp_path)
    begin_and_resume(tmp_path, "early", ["step 5", "step 21", "step 27", "step 41"], signal.SIGKILL)
    assert_equal_runs(only_run("whole"), only_run("early"))


def test_killed_while_a_stage_is_moved_it_is_moved_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "said.txt").write_text("")
    assert fit(folder, "--config=config.yaml", "--name=moved", fault="9 teardown 1") == -9, said(folder)
    run = only_run("moved")
    (run / "stages/head").mkdir(parents=True)
    shutil.copy(run / "config.yaml", run / "stages/head")

    assert fit(folder, "--resume=moved") == 0, said(folder)
    assert_equal_runs(only_run("whole"), run)
    assert said(folder).count("stage 1 of 3") == 1


def test_a_named_job_goes_on_by_the_command_that_began_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DL_JOB_ID", "7")
    faults = ["9 step 11", "9 teardown 2", ""]
    codes = [start_job(folder, fault) for fault in faults]

    assert codes == [-9, -9, 0]
    assert_equal_runs(only_run("whole"), Path("runs/7-job"))


def start_job(folder: Path, fault: str) -> int:
    os.environ["FAULT"] = fault
    process = start("--config=config.yaml", "--name=job")
    process.communicate(timeout=200)
    return process.returncode


def test_two_processes_give_the_numbers_of_one_and_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Linear", drop_last=True, num_train=160)
    monkeypatch.setenv("FAULT", "")
    assert fit(tmp_path, "--config=config.yaml", "--name=one") == 0, said(tmp_path)
    halved = [*DDP, "--data.init_args.batch_size=8"]
    config = yaml.safe_load(Path("config.yaml").read_text())
    config["stages"][2]["change"]["data"]["init_args"]["batch_size"] = 4
    Path("config.yaml").write_text(yaml.safe_dump(config))
    finish(start("--config=config.yaml", "--name=two", *halved))
    one, two = only_run("one"), only_run("two")

    for key in ("step", "stage", "epoch"):
        assert [row.get(key) for row in rows_of(two)] == [row.get(key) for row in rows_of(one)]
    for ours, theirs in zip(rows_of(one), rows_of(two), strict=True):
        got = {key: float(value) for key, value in theirs.items()}
        assert got == pytest.approx({key: float(value) for key, value in ours.items()}, rel=1e-3, abs=1e-5)
    for place in ("stages/head", "stages/all", "."):
        weights = (checkpoint_of(run / place)["state_dict"] for run in (one, two))
        torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)

    for fault in ("9 step 20 group", "15 step 45"):
        monkeypatch.setenv("FAULT", fault)
        given = ["--resume=three"] if "45" in fault else ["--config=config.yaml", "--name=three", *halved]
        process = start(*given)
        process.communicate(timeout=200)
        assert process.returncode == (-9 if "group" in fault else 0)
    monkeypatch.setenv("FAULT", "")
    finish(start("--resume=three"))
    assert_equal_runs(two, only_run("three"))
