"""A run that is killed or asked to go anywhere, and resumed, ends as the run that never was."""

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from my_project.__main__ import main
from processes import DDP, Process, assert_equal_runs, finish, only_run, start, wait_for, write_files

faults = pytest.mark.faults
SMALL = ["--config=config.yaml", "--data.init_args.num_train=80", "--trainer.max_epochs=3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where whole runs lie to compare with, one by each number of processes."""
    return tmp_path_factory.mktemp("whole")


@pytest.fixture
def whole(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An undisturbed run; the test goes on in its folder."""
    devices = request.param if hasattr(request, "param") else ()
    monkeypatch.chdir(folder)
    name = f"whole{len(devices)}"
    if not list(Path("runs").glob(f"*-{name}")):
        write_files()
        finish(start("--config=config.yaml", f"--name={name}", *devices))
    return only_run(name)


def begin(name: str, *options: str) -> tuple[Process, Path]:
    process = start("--config=config.yaml", f"--name={name}", *options)
    wait_for(lambda: list(Path("runs").glob(f"*-{name}")), process)
    return process, only_run(name)


def wait_until_at_work(process: Process, run: Path, said_before: int) -> None:
    log = run / "log.txt"
    wait_for(
        lambda: (
            log.exists()
            and b"training " in log.read_bytes()[said_before:]
            and (run / "checkpoints/last.ckpt").exists()
        ),
        process,
    )


def size_of_log(run: Path) -> int:
    return (run / "log.txt").stat().st_size if (run / "log.txt").exists() else 0


@faults
@pytest.mark.parametrize(("whole", "num_kills"), [((), 20), (DDP, 3)], indirect=["whole"], ids=["1", "2"])
def test_killed_at_random_moments_it_ends_as_if_it_never_was(
    whole: Path, num_kills: int, request: pytest.FixtureRequest
) -> None:
    devices = request.node.callspec.params["whole"]
    moments, name = random.Random(5), f"killed{len(devices)}"
    process, run = begin(name, *devices)
    for number in range(num_kills):
        wait_until_at_work(process, run, size_of_log(run) if number else 0)
        time.sleep(moments.uniform(0.0, 0.4))
        assert process.poll() is None, f"it ended after {number} kills"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        process = start(f"--resume={name}")
    finish(process)

    assert_equal_runs(whole, run)


@faults
def test_a_named_job_goes_on_by_the_command_that_began_it(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DL_JOB_ID", "my-job")
    process, run = begin("spot")
    for number in range(2):
        wait_until_at_work(process, run, size_of_log(run) if number else 0)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        process = start("--config=config.yaml", "--name=spot")
    finish(process)

    assert run.name == "my-job-spot"
    assert_equal_runs(whole, run)


@faults
def test_asked_to_go_it_saves_itself_and_goes_on_exactly(whole: Path) -> None:
    process, run = begin("asked")
    for number in (signal.SIGTERM, signal.SIGUSR1):
        wait_until_at_work(process, run, size_of_log(run) if number == signal.SIGUSR1 else 0)
        process.send_signal(number)
        said = finish(process)
        assert "asked to stop: saved at step" in said
        assert "epoch 4/4" not in said
        process = start("--resume=asked")
    finish(process)
    outcomes = [entry["outcome"] for entry in json.loads((run / "run.json").read_text())]
    assert outcomes == ["stopped", "stopped", "finished", "finished"], "the last start has tested, too"

    assert_equal_runs(whole, run)


@faults
def test_a_signal_during_the_imports_is_answered_at_the_first_batch(whole: Path) -> None:
    process = start("--config=config.yaml", "--name=imports")
    time.sleep(0.5)  # the interpreter is up, torch is not
    process.send_signal(signal.SIGUSR1)
    assert "asked to stop: saved at step 0" in finish(process)
    process = start("--resume=imports")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert "asked to stop: saved at step 0" in finish(process)
    finish(start("--resume=imports"))

    assert_equal_runs(whole, only_run("imports"))


@faults
@pytest.mark.parametrize("whole", [DDP], indirect=True, ids=["2"])
def test_a_signal_to_one_of_two_processes_stops_both(whole: Path) -> None:
    process, run = begin("one-of-two", *DDP)
    wait_until_at_work(process, run, 0)
    process.send_signal(signal.SIGUSR1)
    assert finish(process).count("asked to stop") == 1
    finish(start("--resume=one-of-two"))

    assert_equal_runs(whole, run)


@faults
@pytest.mark.parametrize("bad", [b"", b"PK\x03\x04 and no more"])
def test_a_bad_checkpoint_is_named_and_the_one_before_is_used(whole: Path, bad: bytes) -> None:
    name = f"bad{len(bad)}"
    process, run = begin(name)
    wait_for((run / "checkpoints/best.ckpt").exists, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (run / "checkpoints/last.ckpt").write_bytes(bad)
    said = finish(start(f"--resume={name}"))

    assert "last.ckpt is truncated or not a checkpoint" in said
    assert_equal_runs(whole, run)


# An epoch's end and inside an epoch; and all of three epochs.
@pytest.mark.parametrize("steps", [(4, 7), pytest.param(range(12), marks=faults)], ids=["few", "all"])
def test_stopped_before_a_batch_it_goes_on_exactly(
    steps: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files()
    monkeypatch.syspath_prepend(".")
    assert main(["fit", *SMALL, "--name=whole"]) == 0

    for step in steps:
        ask = ["--trainer.callbacks+=noisy.AskAt", f"--trainer.callbacks.step={step}"]
        with pytest.raises(SystemExit) as stop:
            main(["fit", *SMALL, f"--name=at{step}", *ask])
        assert stop.value.code == 0
        assert main(["fit", f"--resume=at{step}"]) == 0
        assert_equal_runs(only_run("whole"), only_run(f"at{step}"))
