"""A process of several is killed: torchrun starts all again, and the run ends as if it never was."""

import os
import signal
from pathlib import Path

import pytest
from processes import DDP, assert_equal_runs, finish, only_run, start, wait_for, write_files

pytestmark = pytest.mark.faults
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max-restarts=3", "-m")


def test_a_killed_process_costs_no_more_than_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    # Else the second attempt may read the addresses of the first, and wait without end.
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    write_files()
    finish(start("--config=config.yaml", "--name=whole", *DDP))
    process = start("--config=config.yaml", "--name=again", *DDP, launcher=TORCHRUN)
    wait_for(lambda: list(Path("runs").glob("*-again/checkpoints/last.ckpt")), process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    os.kill(int(children[-1]), signal.SIGKILL)
    said = finish(process)

    assert said.count("training Noisy") >= 2
    assert_equal_runs(only_run("whole"), only_run("again"))
