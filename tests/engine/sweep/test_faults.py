"""Searches whose processes are killed at random moments lose nothing."""

import contextlib
import csv
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import my_project as package
import pytest
from my_project.engine.sweep.dead import retry_dead
from my_project.engine.sweep.plan import load_plan
from my_project.engine.sweep.study import Study
from optuna.trial import FrozenTrial, TrialState
from sweep_support import LR, WIDTH, MakeSweep

pytestmark = pytest.mark.faults
GRID = {WIDTH: [2, 3, 4], LR: [0.01, 0.1]}
NUM_EPOCHS = 15


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of an empty database, on loopback, in a temporary folder, of an unprivileged user."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    initdb = [binaries[-1] / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8"]
    subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True, timeout=60)
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    server = subprocess.Popen(
        [binaries[-1] / "postgres", "-D", folder / "data", *options],
        user=user,
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        ready = [binaries[-1] / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(100):
            if subprocess.run(ready, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def start(config: str, *options: str) -> subprocess.Popen[str]:
    """Start a search in a session of its own."""
    command = [sys.executable, "-m", package.__name__, "sweep", "--config", config, *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def session_of(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_until_it_trains(before: int) -> None:
    """Wait until workers have said something more."""
    for _ in range(2400):
        if said_by_workers() > before:
            return
        time.sleep(0.05)


def said_by_workers() -> int:
    path = Path("runs/sweeps/small/workers.log")
    return path.stat().st_size if path.exists() else 0


def wait_for_end(leader: int) -> None:
    for _ in range(300):
        if not session_of(leader):
            return
        time.sleep(0.1)
    raise AssertionError("a worker outlived the process that started it")


def epochs_of(run: Path) -> list[int]:
    """The steps at which validation was logged."""
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["val/loss"]]


def check_complete(folder: Path) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Every point once, each trained for all its epochs, none twice; all trials, and the newest."""
    with contextlib.closing(Study(load_plan(folder))) as study:
        trials, slots = study.trials(), study.slots()
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert [trial.state.name for trial in slots] == ["COMPLETE"] * 6
    assert len(complete) == 6
    points = {(trial.params[WIDTH], trial.params[LR]) for trial in slots}
    assert points == {(width, lr) for width in GRID[WIDTH] for lr in GRID[LR]}
    for number in range(6):
        steps = epochs_of(folder / f"trial-{number:04d}")
        assert len(steps) == NUM_EPOCHS
        assert steps == sorted(set(steps))
    return trials, slots


@pytest.mark.parametrize(("seed", "storage"), [(0, "sqlite"), (1, "sqlite"), (0, "postgresql")])
def test_kills_at_random_moments_lose_and_repeat_nothing(
    make_sweep: MakeSweep, request: pytest.FixtureRequest, storage: str, seed: int
) -> None:
    url = "sqlite" if storage == "sqlite" else request.getfixturevalue("postgresql")
    config = make_sweep(space=GRID, storage=url)
    options = ("--workers=2", f"--trainer.max_epochs={NUM_EPOCHS}")
    draw = random.Random(seed)

    for whom in ("early", "all", "first", "some", "all"):
        before = said_by_workers()
        process = start(config, *options)
        if whom != "early":
            wait_until_it_trains(before)
        time.sleep(draw.uniform(0, 3) + 5 * (whom == "early"))
        pids = session_of(process.pid)
        others = [pid for pid in pids if pid != process.pid]
        kill({"first": [process.pid], "some": draw.sample(others, min(2, len(others)))}.get(whom, pids))
        if whom == "some":
            time.sleep(3)
            kill([process.pid])
        process.communicate(timeout=30)
        wait_for_end(process.pid)
    process = start(config, *options)
    _, said = process.communicate(timeout=300)

    assert process.returncode == 0, said
    num_trials = len(check_complete(Path("runs/sweeps/small"))[0])
    print(storage, seed, "trials of Optuna for 6 points:", num_trials)
    again = start(config, *options)
    again.communicate(timeout=60)
    assert again.returncode == 0, "a study that is complete stays so"
    assert len(check_complete(Path("runs/sweeps/small"))[0]) == num_trials


def test_a_killed_worker_costs_the_epoch_it_was_in(make_sweep: MakeSweep) -> None:
    process = start(make_sweep(space={LR: [0.01, 0.1]}), "--trainer.max_epochs=60")
    folder = Path("runs/sweeps/small")
    for _ in range(2400):
        if (folder / "trial-0000" / "checkpoints" / "last.ckpt").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    with contextlib.closing(Study(load_plan(folder))) as study:
        (running,) = study.trials(TrialState.RUNNING)
        kill([int(running.user_attrs["process"].split()[-1])])
        _, said = process.communicate(timeout=300)
        attempts = [trial.user_attrs["attempt"] for trial in study.slots()]
        states = [trial.state.name for trial in study.slots()]

    assert process.returncode == 0, said
    assert states == ["COMPLETE"] * 2
    assert sorted(attempts) == [0, 1]
    run = folder / f"trial-{attempts.index(1):04d}"
    assert (run / "log.txt").read_text().count("epoch 1/60") == 1, "it went on from the checkpoint"
    assert len(epochs_of(run)) == 60


def test_an_interrupt_ends_all_processes_and_no_trial(make_sweep: MakeSweep) -> None:
    # What a shell starts in the background ignores Ctrl-C, and so does all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(make_sweep(space={LR: [0.01, 0.1]}), "--workers=2", "--trainer.max_epochs=200")
    wait_until_it_trains(0)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=60)
    wait_for_end(process.pid)

    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted; the same command continues it"
    with contextlib.closing(Study(load_plan(Path("runs/sweeps/small")))) as study:
        retry_dead(study)
        assert {trial.state for trial in study.slots()} == {TrialState.WAITING}


def test_two_commands_share_a_study_on_postgresql(make_sweep: MakeSweep, postgresql: str) -> None:
    config = make_sweep(space=GRID, storage=postgresql)
    processes = [start(config, f"--trainer.max_epochs={NUM_EPOCHS}") for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ends
    slots = check_complete(Path("runs/sweeps/small"))[1]
    assert len({trial.user_attrs["process"] for trial in slots}) == 2
