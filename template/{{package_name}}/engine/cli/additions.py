"""All that the engine adds to a run beyond what its config says.

| what | why |
|---|---|
| ``RunFolderLogger`` | metrics.csv, pictures and tables in the run's folder |
| ``AtomicCheckpoints`` | a checkpoint is written whole or not at all |
| ``SLURMEnvironment`` | under SLURM only, without Lightning's own signal handlers |
| ``EpochSummary`` | a line per epoch in the terminal and in log.txt |
| ``Continuation`` | a resumed run is the same run: its data, random numbers and frozen parameters |
| ``SaveFirst`` | checkpoints are saved before a callback changes what is in them |
| ``WholeEpochs`` | an epoch that a stray ``StopIteration`` cut short is an error |
| ``Preemption`` | a run that is asked to stop saves a checkpoint first |
| ``RecordRun`` | config.yaml and run.json |
| ``ReportPage`` | report.html, if ``engine/report`` exists |
| ``TQDMProgressBar`` | in a terminal only, and only if the config has no progress bar |

``Checkpoints`` is added as well; its options are in the config under ``checkpoint``. A ``fast_dev_run``
leaves nothing behind, and gets neither ``RecordRun`` nor ``ReportPage``.
"""

import sys
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint, ProgressBar, TQDMProgressBar
from pytorch_lightning.profilers import AdvancedProfiler, Profiler, PyTorchProfiler, SimpleProfiler

from ..config.leaves import leaf
from ..foreign import callbacks_of
from ..loggers import RunFolderLogger
from ..record.epoch_summary import EpochSummary
from ..record.record_run import RecordRun
from ..record.whole_epochs import WholeEpochs
from ..resume.checkpoints import AtomicCheckpoints, Checkpoints, SaveFirst
from ..resume.continuation import Continuation
from ..resume.preemption import Preemption
from ..runs.folder import CHECKPOINTS

OWN = "own"  # subfolder of checkpoints, for those that the config's own callbacks save
PROFILE = "profile"
PROFILERS: dict[str, type[Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    "pytorch": PyTorchProfiler,
}


def trainer_arguments(trainer: Namespace, run: Path, record: RecordRun | None) -> dict[str, Any]:
    """Arguments of the Trainer that extend or replace those of the config.

    Args:
        trainer: The config's section ``trainer``, with its classes instantiated.
        run: The run's folder.
        record: Writes what is known about the run; ``None`` in a ``fast_dev_run``.
    """
    callbacks = as_list(trainer.callbacks)
    has_bar = any(isinstance(callback, ProgressBar) for callback in callbacks)
    shows_bar = (has_bar or is_in_terminal()) and trainer.enable_progress_bar is not False
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
            callback.dirpath = str(run / CHECKPOINTS / OWN)  # a run never resumes from these
    added = added_callbacks(run, record, shows_bar=shows_bar and not has_bar)
    return {
        "default_root_dir": str(run),
        "logger": [RunFolderLogger(run), *as_list(trainer.logger)],
        "callbacks": [*first_callbacks(), *callbacks, *added],
        "plugins": [*as_list(trainer.plugins), *added_plugins()],
        "enable_progress_bar": shows_bar,
        "profiler": make_profiler(trainer.profiler, run),
    }


def put_first(trainer: Trainer) -> Trainer:
    """Make ``Checkpoints`` the first checkpoint callback, which the Trainer and others ask for the best."""
    callbacks_of(trainer).sort(
        key=lambda callback: (isinstance(callback, Checkpoint), not isinstance(callback, Checkpoints))
    )
    return trainer


def make_profiler(profiler: Profiler | str | None, run: Path) -> Profiler | str | None:
    """The config's profiler; it writes into the run's folder unless it names another."""
    made = PROFILERS[profiler]() if isinstance(profiler, str) and profiler in PROFILERS else profiler
    if isinstance(made, Profiler) and made.dirpath is None:
        made.dirpath, made.filename = run, made.filename or PROFILE
    return made


def first_callbacks() -> list[Callback]:
    """Callbacks placed before the config's, so that they restore and save before those change anything."""
    return [Continuation(), SaveFirst(), WholeEpochs(), Preemption()]


def added_callbacks(run: Path, record: RecordRun | None, *, shows_bar: bool) -> list[Callback]:
    """Callbacks placed after the config's."""
    callbacks: list[Callback] = [EpochSummary()]
    if record is not None:
        callbacks.append(record)
        if report := leaf("report", "callback"):
            callbacks.append(report.ReportPage(run))
    if shows_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    return callbacks


def added_plugins() -> list[AtomicCheckpoints | SLURMEnvironment]:
    """Plugins added to the config's."""
    slurm = [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
    return [AtomicCheckpoints(), *slurm]


def as_list(value: Any) -> list[Any]:
    """A config's value as a list; ``None``, ``True`` and ``False`` give an empty one."""
    return value if isinstance(value, list) else [] if value in (None, True, False) else [value]


def is_in_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()
