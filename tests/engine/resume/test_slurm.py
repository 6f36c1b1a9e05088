"""A real SLURM, for this test alone: a job that is told to go queues itself again, and goes on."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import my_project as package
import pytest
import torch
from processes import content, only_run, write_files

SCRIPT = Path(package.__file__).parents[1] / "scripts" / "train.sbatch"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol")
CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
InactiveLimit=0
KillWait=5
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=4000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
pytestmark = pytest.mark.faults


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two nodes on this machine, which end with the test."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"needs a SLURM that is installed (slurmctld, slurmd, munge), not found: {missing}")
    if os.geteuid() != 0:
        pytest.skip("needs root: slurmd starts jobs as other users")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # the path of a socket must be short
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(
        CONF.format(
            folder=folder, host=socket.gethostname(), user=pwd.getpwuid(0).pw_name, ports=free_ports(3)
        )
    )
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    parts = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munge = [f"--{option}={folder}/munge.{end}" for option, end in parts.items()]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for words in (
            ["munged", "--foreground", "--force", *munge],
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", "n1"],
            ["slurmd", "-D", "-N", "n2"],
        ):
            daemons.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(1)
        wait_until(lambda: slurm("sinfo", "--noheader", "--format=%T").split() == ["idle"], "idle nodes")
        yield folder
        slurm("scancel", "--user=root")
        wait_until(lambda: not slurm("squeue", "--noheader"), "an empty queue")
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def slurm(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=60).stdout.strip()


def wait_until(condition: Callable[[], object], what: str, limit_s: float = 120) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.2)


def field(job: str, name: str) -> str:
    words = slurm("scontrol", "show", "job", job).split()
    return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), "")


def submit(name: str) -> str:
    """Queue a run of two processes, one on each node; the job's number."""
    words = ["sbatch", "--parsable", "--nodes=2", "--cpus-per-task=1", "--mem=1G", str(SCRIPT), "fit"]
    options = ["--config=config.yaml", f"--name={name}", "--trainer.strategy=ddp"]
    done = subprocess.run([*words, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def said_by(job: str) -> str:
    path = Path(f"slurm-{job}.log")
    text = path.read_text() if path.exists() else ""
    assert "Traceback" not in text, text
    return text


def has_completed(job: str, hurried: set[str]) -> bool:
    said_by(job)
    state = field(job, "JobState")
    if state == "PENDING" and field(job, "Reason") == "BeginTime" and job not in hurried:
        # SLURM would wait for two minutes; at once, the end of the first attempt would meet the second.
        slurm("scontrol", "update", f"JobId={job}", "StartTime=now+20")
        hurried.add(job)
    return state == "COMPLETED"


@pytest.mark.usefixtures("cluster")
def test_a_job_that_is_told_to_go_queues_itself_again_and_ends_as_if_it_never_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_files()
    for name, value in {
        "PYTHON": sys.executable,
        "MASTER_ADDR": "127.0.0.1",  # the names of the nodes are known to SLURM alone
        "GLOO_SOCKET_IFNAME": "lo",
        "SBATCH_GPUS_PER_NODE": "0",
    }.items():
        monkeypatch.setenv(name, value)
    whole = submit("whole")
    wait_until(lambda: has_completed(whole, set()), "the end of an undisturbed job")

    job = submit("job")
    wait_until(lambda: "epoch 1/4" in said_by(job), "the first epoch")
    slurm("scancel", "--signal=USR1", job)
    wait_until(lambda: "queued again" in said_by(job), "the job to queue itself again")
    hurried: set[str] = set()
    wait_until(lambda: has_completed(job, hurried), "the end", limit_s=240)

    assert field(job, "Restarts") == "1"
    assert "asked to stop: saved at step" in said_by(job)
    assert said_by(job).count("epoch 1/4") == 1
    assert only_run("job").name == f"{job}-job"
    expected, got = content(only_run("whole")), content(only_run("job"))
    for row, other in zip(expected[0], got[0], strict=True):
        assert {key: float(value) for key, value in other.items()} == pytest.approx(
            {key: float(value) for key, value in row.items()}, rel=1e-6
        )
    torch.testing.assert_close(got[1], expected[1], rtol=0, atol=0)
    assert got[2] == expected[2]
