"""All that the engine adds to a run beside what its config says.

| what | why |
|---|---|
| ``RunFolderLogger`` | metrics.csv, pictures and tables in the run's folder |
| ``AtomicCheckpoints`` | a checkpoint is written whole or not at all |
| ``SLURMEnvironment`` | where SLURM runs this, without Lightning's own handler of signals |
| ``EpochSummary`` | a line per epoch in the terminal and in log.txt |
| ``Continuation`` | a resumed run has the random numbers, frozen parameters and data that it would have had |
| ``SameRun`` | a run is resumed with its own data, or refused |
| ``SaveFirst`` | checkpoints are saved before a callback changes what is in them |
| ``Preemption`` | a run that is told to stop saves itself first |
| ``RecordRun`` | config.yaml and run.json |
| ``ReportPage`` | report.html, where ``engine/report`` is there |
| ``TQDMProgressBar`` | in a terminal only |

``Checkpoints`` is added as well; its options stand in the config under ``checkpoint``. A ``fast_dev_run``
leaves nothing behind, and gets neither ``RecordRun`` nor ``ReportPage``.
"""

import sys
from pathlib import Path

from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import TQDMProgressBar

from ..config.leaves import leaf
from ..record.epoch_summary import EpochSummary
from ..record.record_run import RecordRun
from ..resume.checkpoints import AtomicCheckpoints, SaveFirst
from ..resume.continuation import Continuation
from ..resume.preemption import Preemption
from ..resume.same_run import SameRun


def first_callbacks() -> list[Callback]:
    """Those that come before the config's: they restore and save what those change."""
    return [SameRun(), Continuation(), SaveFirst(), Preemption()]


def added_callbacks(run: Path, record: RecordRun | None) -> list[Callback]:
    """Those that come after the config's.

    Args:
        run: The run's folder.
        record: Writes what is known about the run; ``None`` in a ``fast_dev_run``.
    """
    callbacks: list[Callback] = [EpochSummary()]
    if record is not None:
        callbacks.append(record)
        if report := leaf("report", "callback"):
            callbacks.append(report.ReportPage(run))
    if is_in_terminal():
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    return callbacks


def added_plugins() -> list[AtomicCheckpoints | SLURMEnvironment]:
    """Those that are added to the config's."""
    slurm = [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
    return [AtomicCheckpoints(), *slurm]


def is_in_terminal() -> bool:
    """Whether a person looks on."""
    return sys.stderr.isatty()
