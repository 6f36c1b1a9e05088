"""Whatever befalls W&B, a run goes on: the real client, in processes, against a server that fails."""

import contextlib
import csv
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import yaml
from my_project.engine.wandb.server import sync
from wandb_child import NUM_ROWS
from wandb_loopback import KEY, Loopback
from wandb_records import parts_of, rows_in

pytestmark = pytest.mark.faults

CHILD = Path(__file__).with_name("wandb_child.py")
RUN = Path("runs/a")
FINISH_TIMEOUT_S = 3
READY_S, FINISH_S, CALL_S = 25, FINISH_TIMEOUT_S + 15, 0.5
# Two histograms of the watched model come with the rows.
NUM_RECORDS = NUM_ROWS + 3


@dataclass
class Outcome:
    """How a child ended."""

    returncode: int
    said: str
    report: dict[str, Any]

    @property
    def notices(self) -> list[str]:
        """Lines for the user, without the one that says that all is well."""
        return [
            line for line in self.said.splitlines() if "Weights & Biases" in line and "online," not in line
        ]


def nothing(child: subprocess.Popen[str]) -> None:
    """What befalls a child that is left alone."""


def run_child(
    at_half: Callable[[subprocess.Popen[str]], None] = nothing, pause_s: float = 0.01, **options: Any
) -> Outcome:
    """Run a child; ``at_half`` is done to it in the middle."""
    command = [sys.executable, str(CHILD), str(RUN), str(pause_s)]
    env = os.environ | {"WANDB_FINISH_TIMEOUT": str(FINISH_TIMEOUT_S)}
    with Path("said.txt").open("w") as said:
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": said} | options
        child = subprocess.Popen(command, env=env, text=True, **options)
        try:
            assert child.stdout
            assert child.stdout.readline() == "half\n", Path("said.txt").read_text()
            at_half(child)
            out = child.communicate("\n" if child.stdin else None, timeout=60)[0]
        finally:
            child.kill()
    return Outcome(child.returncode, Path("said.txt").read_text(), json.loads(out or "{}"))


def check(outcome: Outcome, notice: str) -> None:
    """That the run went on, in time, kept every number, and said once what happened."""
    assert outcome.returncode == 0, outcome.said
    with (RUN / "metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(NUM_ROWS))
    assert outcome.report["ready_s"] <= READY_S
    assert outcome.report["finish_s"] <= FINISH_S
    assert outcome.report["longest_s"] <= CALL_S
    assert not outcome.report["was_imported"]
    assert outcome.report["left"] == []
    (said,) = outcome.notices
    assert said.startswith("WARNING")
    assert notice in said
    assert "make wandb-sync" in said
    assert "Traceback" not in outcome.said
    assert KEY not in outcome.said


def check_offline_copy(kind: str) -> None:
    """That all rows, the captions and the table are in the offline copy."""
    (part,) = parts_of(RUN)
    assert part.name.startswith(kind)
    rows = rows_in(part)
    assert [row["train/loss"] for row in rows if "train/loss" in row] == [
        pytest.approx(1 / (step + 1)) for step in range(NUM_ROWS)
    ]
    assert [row["val/worst.captions"] for row in rows if "val/worst.captions" in row] == [["a", "b", "c"]]
    assert len(rows) == NUM_RECORDS


def check_arrives(server: Loopback) -> None:
    """That all of the run is on a server that works, after a sync."""
    assert sync(Path("runs"), server.url)
    (run,) = server.runs.values()
    assert len(run.values("train/loss")) == NUM_ROWS
    assert len(run.history) == NUM_RECORDS
    assert run.config["model"] == {"lr": 0.1}
    (worst,) = run.values("val/worst")
    assert all(run.files[name].startswith(b"\x89PNG") for name in worst["filenames"])
    for number in range(2):
        (table,) = run.values(f"val/table{number}")
        assert json.loads(run.files[table["path"]])["data"] == [[1], [2]]
    assert run.summary["best"] == 0.5
    assert run.exit_code == 0


# ------------------------------------------------------------------------------------- from the start


@pytest.mark.parametrize(
    ("how", "where", "notice"),
    [
        ("500", "", "answers with status 500"),
        ("hang", "", "does not answer within 3 s"),
        ("garbage", "", "does not answer like a Weights & Biases server"),
        ("hang", "UpsertBucket", "Timed out"),
        ("404", "UpsertBucket", "opens no run"),
    ],
)
def test_a_server_that_fails_at_the_start(server: Loopback, how: str, where: str, notice: str) -> None:
    server.fail(how, where)

    check(run_child(), notice)
    check_offline_copy("offline-run-")
    if where:
        server.heal()
        server.runs.clear()
        check_arrives(server)


def test_an_absent_server(server: Loopback) -> None:
    server.stop()

    check(run_child(), "does not answer (Connection refused)")
    check_offline_copy("offline-run-")
    server.start()
    check_arrives(server)


@pytest.mark.parametrize(
    ("key", "notice"),
    [
        ("local-" + "x" * 40, "refuses the API key"),
        ("", "there is no API key"),
    ],
)
def test_a_key_that_is_wrong_or_missing(
    server: Loopback, key: str, notice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)

    check(run_child(), notice)
    check_offline_copy("offline-run-")


def test_a_malformed_key_that_the_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with Loopback(key="short") as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)

        check(run_child(), "API key must have 40+ characters")
        check_offline_copy("offline-run-")


@pytest.mark.usefixtures("server")
def test_no_key_in_a_terminal_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    ours, theirs = pty.openpty()

    def press_enter(child: subprocess.Popen[str]) -> None:
        os.write(ours, b"\n")

    outcome = run_child(press_enter, stdin=theirs, stderr=theirs)
    os.close(theirs)
    with os.fdopen(ours) as terminal, contextlib.suppress(OSError):  # its end
        for line in terminal:
            outcome.said += line
    check(outcome, "there is no API key")


# ----------------------------------------------------------------------------------- in the middle


@pytest.mark.parametrize(
    ("how", "where", "notice"),
    [
        ("hang", "", "Timed out finishing run"),
        ("500", "", "Timed out finishing run"),
        ("garbage", "graphql", "the server refused files"),
        ("401", "", "Fatal error while uploading data"),
        ("404", "file_stream", "Fatal error while uploading data"),
        ("hang", "PUT", "Timed out finishing run"),
        ("413", "PUT", "the server refused files"),
    ],
)
def test_a_server_that_fails_in_the_middle(server: Loopback, how: str, where: str, notice: str) -> None:
    check(run_child(lambda child: server.fail(how, where)), notice)
    check_offline_copy("run-")
    server.heal()
    check_arrives(server)


def test_a_server_that_dies_in_the_middle(server: Loopback) -> None:
    check(run_child(lambda child: server.stop()), "Timed out finishing run")
    check_offline_copy("run-")
    server.start()
    check_arrives(server)


def test_a_server_that_comes_back_in_the_middle(server: Loopback) -> None:
    def restart(child: subprocess.Popen[str]) -> None:
        server.stop()
        time.sleep(2)
        server.start()

    outcome = run_child(restart)
    assert outcome.returncode == 0
    assert outcome.notices == []
    requests = list(server.requests)
    check_arrives(server)
    assert server.requests == requests, "nothing was left to upload"


def kill_core(child: subprocess.Popen[str]) -> None:
    """Kill wandb's own process, as the system does when memory is short."""
    for children in Path(f"/proc/{child.pid}/task").glob("*/children"):
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text() == "wandb-core\n":
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("is_online", [True, False])
def test_wandb_is_killed_in_the_middle(
    server: Loopback, is_online: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_online:
        monkeypatch.delenv("WANDB_BASE_URL")
    outcome = run_child(kill_core, pause_s=0.04)
    outcome.said = outcome.said.replace("INFO Weights & Biases: offline", "")  # as it should be

    check(outcome, "something was not logged")
    (part,) = parts_of(RUN)
    assert len(rows_in(part)) >= NUM_ROWS // 2 - 1.2 / 0.04


def test_a_killed_training_keeps_all_but_the_last_second_and_its_id(server: Loopback) -> None:
    outcome = run_child(subprocess.Popen.kill, pause_s=0.04)
    assert outcome.returncode == -signal.SIGKILL
    (part,) = parts_of(RUN)
    kept = [row for row in rows_in(part) if "train/loss" in row]
    assert NUM_ROWS // 2 - 1.2 / 0.04 <= len(kept) <= NUM_ROWS // 2

    outcome = run_child()
    assert (outcome.returncode, outcome.notices) == (0, [])
    assert len(parts_of(RUN)) == 2
    assert sync(Path("runs"))
    (run,) = server.runs.values()
    assert len(run.values("train/loss")) == NUM_ROWS
    assert run.summary["best"] == 0.5
    assert run.exit_code == 0


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 4 MB at ``folder``."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, but_bytes: int = 0) -> None:
    """Leave no space, or little, on the disk of a folder."""
    with (folder / "filling").open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024))
        file.truncate(file.tell() - but_bytes)


@pytest.mark.parametrize("is_online", [True, False])
def test_the_disk_is_full_in_the_middle(
    server: Loopback, is_online: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_online:
        monkeypatch.delenv("WANDB_BASE_URL")
    with small_disk(RUN / "wandb"):
        outcome = run_child(lambda child: fill(RUN / "wandb"), pause_s=0.04)
        outcome.said = outcome.said.replace("INFO Weights & Biases: offline", "")  # as it should be

        check(outcome, "No space left on device")
        (part,) = parts_of(RUN)
        assert len(rows_in(part)) >= NUM_ROWS // 2 - 1.2 / 0.04
    if is_online:
        assert len(server.run.values("train/loss")) == NUM_ROWS


def test_the_disk_is_full_from_the_start(server: Loopback) -> None:
    with small_disk(RUN / "wandb"):
        fill(RUN / "wandb")
        check(run_child(), "nothing is logged there, [Errno 28] No space left on device")
        assert parts_of(RUN) == []
    assert not server.runs


def test_the_disk_is_almost_full_from_the_start(server: Loopback) -> None:
    with small_disk(RUN / "wandb"):
        fill(RUN / "wandb", but_bytes=3 * 4096)
        outcome = run_child()

    outcome.said = "\n".join(line for line in outcome.said.splitlines() if "not logged" not in line)
    check(outcome, "o space left on device")


def test_a_folder_that_cannot_be_written(server: Loopback) -> None:
    RUN.mkdir(parents=True)
    (RUN / "wandb").write_text("a file where the folder should be")

    check(run_child(), "nothing is logged there")
    assert not server.runs


def test_files_may_not_grow() -> None:
    limit = (8_000, 8_000)
    outcome = run_child(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))

    assert "offline" in outcome.notices[0]
    outcome.said = "\n".join(outcome.notices[1:])
    check(outcome, "File too large")


# -------------------------------------------------------------------------------- with the real command


@pytest.mark.parametrize(
    ("fault", "notice"), [("absent", "does not answer"), ("hangs", "Timed out finishing")]
)
def test_a_training_by_the_command_line(server: Loopback, fault: str, notice: str) -> None:
    if fault == "absent":
        server.stop()
    else:
        server.fail("hang", "file_stream")
    logger = {"class_path": "WandbRunLogger"}
    optimizer = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
    model = {"width": 4, "depths": [0, 1], "optimizer": optimizer}
    config = {
        "model": {"class_path": "ResNet", "init_args": model},
        "data": {"class_path": "Fake", "init_args": {"num_train": 60, "num_test": 20, "batch_size": 16}},
        "trainer": {"accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 1, "logger": logger},
    }
    Path("config.yaml").write_text(yaml.safe_dump(config))

    command = [
        sys.executable,
        "-m",
        package.__name__,
        "fit",
        "--config",
        "config.yaml",
        "--test_after_fit=true",
    ]
    env = os.environ | {"WANDB_FINISH_TIMEOUT": str(FINISH_TIMEOUT_S)}
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if "make wandb-sync" in line]
    assert notice in said
    (run,) = Path("runs").iterdir()
    (part,) = parts_of(run)
    with (run / "metrics.csv").open() as file:
        losses = [row["train/loss_step"] for row in csv.DictReader(file) if row["train/loss_step"]]
    assert [row["train/loss_step"] for row in rows_in(part) if "train/loss_step" in row] == pytest.approx(
        [float(loss) for loss in losses], rel=1e-6
    )
    assert len(losses) == 8
