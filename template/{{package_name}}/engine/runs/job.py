"""The job that a process belongs to: its id, whether it was restarted, and this process's rank in it."""

import logging
import os
import subprocess

JOB_VARIABLE = "DL_JOB_ID"  # a job's id, where no scheduler gives one; all its starts share a folder
log = logging.getLogger(__name__)


def job_id() -> str | None:
    """The id that all starts of a job share: the user's, SLURM's or torchrun's; ``None`` outside a job."""
    elastic = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return os.environ.get(JOB_VARIABLE) or slurm_job() or (elastic if elastic != "none" else None)


def slurm_job() -> str | None:
    """The id of the SLURM job, ``<array>_<task>`` in an array; ``None`` outside a job."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def is_restarted() -> bool:
    """Whether this job may have run before: requeued by SLURM, restarted by torchrun or named by the user."""
    names = "SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"
    return JOB_VARIABLE in os.environ or any(int(os.environ.get(name) or 0) for name in names)


def is_rank_zero() -> bool:
    """Whether this process is the first of its job, by the variables that launchers set."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def requeue() -> bool:
    """Put the SLURM job, if this is one, back into the queue; whether that succeeded."""
    if (job := slurm_job()) is None:
        return False
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    if done.returncode:
        log.warning(f"SLURM did not requeue the job: {done.stderr.strip()}")
    return done.returncode == 0
