"""What is printed and written when a command ends."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from .. import PACKAGE
from ..config.leaves import leaf
from ..loggers import RunLogger, log_summary, stage_of
from ..record.record_run import RecordRun
from ..resume.checkpoints import checkpoints_of
from ..runs.describe import write_outcome
from ..runs.folder import CHECKPOINTS, CONFIG, LOG, METRICS, REPORT
from .additions import PROFILE
from .start import COMMANDS, available

log = logging.getLogger(__name__)


@contextlib.contextmanager
def closing_run(trainer: Trainer, run: Path, record: RecordRun) -> Iterator[None]:
    """Record how a run ends, whatever ends it, and close its trackers.

    Args:
        trainer: Has the final numbers.
        run: The run's folder.
        record: Has the resolved config.

    Raises:
        SystemExit: With 130 after Ctrl-C; with 0 if the run was asked to stop and saved a checkpoint.
    """
    exit_code, outcome = 1, "failed"
    try:
        yield
        exit_code, outcome = 0, "finished"
    except SystemExit as stop:  # by Lightning after an interrupt, or by Preemption
        if interrupted := stop.code == 1 and trainer.interrupted:
            outcome = "interrupted"
        elif not stop.code:
            outcome = "stopped"
        exit_code = 130 if interrupted else int(stop.code or 0)
        raise SystemExit(exit_code) from None
    finally:
        _close(trainer, run, record.plain_config(), exit_code, outcome)


@rank_zero_only
def _close(trainer: Trainer, run: Path, config: dict[str, Any], exit_code: int, outcome: str) -> None:
    values = {key: float(value) for key, value in trainer.callback_metrics.items()}
    callback = trainer.checkpoint_callback
    if isinstance(callback, ModelCheckpoint) and callback.best_model_score is not None:
        values[f"best/{callback.monitor}"] = float(callback.best_model_score)
    write_outcome(run, outcome)
    if report := leaf("report", "callback"):
        report.write_page(trainer)
    for logger in trainer.loggers:
        log_summary(logger, config, values)
        if isinstance(logger, RunLogger):
            logger.finish(exit_code)


@rank_zero_only
def say_result(metrics: Mapping[str, Any]) -> None:
    """Print the metrics of the test, or of validation if there was no test."""
    values = {key: float(value) for key, value in sorted(metrics.items())}
    split = "test" if any(key.startswith("test/") for key in values) else "val"
    # The terms of the loss are in metrics.csv.
    shown = [key for key in values if key.startswith(split) and key.count("/") == 1 and "/loss_" not in key]
    if shown:
        log.info("  ".join(f"{key} {values[key]:.4f}" for key in shown))


def say_nothing_to_train(trainer: Trainer) -> None:
    """Say why a resumed run has nothing left to train, and how to continue it all the same."""
    (checkpoints,) = checkpoints_of(trainer)
    if stage := stage_of(trainer):
        log.info(
            f"nothing to train: the stages have ended, the last is {stage.name}; to continue, add one: "
            "fit --resume RUN --config FILE"
        )
        return
    limit = checkpoints.ended_by
    raised = f"raise --trainer.{limit.partition('=')[0]}, or " if limit.startswith("max") else ""
    log.info(
        f"nothing to train: the run was ended by {limit or 'its limits'}; to continue, {raised}"
        "start from its weights: fit --init_from RUN"
    )


@rank_zero_only
def say_next(run: Path, *, can_predict: bool) -> None:
    """Say where the run's files are, and what to do next."""
    folder, commands = os.path.relpath(run), available(COMMANDS)
    files = [name for name in (REPORT, CONFIG, METRICS, LOG) if (run / name).is_file()]
    files += sorted(path.name for path in run.glob(f"*{PROFILE}*.txt"))
    log.info(f"all in {folder}: {', '.join([*files, f'{CHECKPOINTS}/'])}")
    steps = [f"report {folder}"] if "report" in commands else []
    if can_predict and "predict" in commands:
        steps.append(f"predict {folder} FILE_OR_FOLDER")
    for number, step in enumerate(steps):
        log.info(f"{'next: ' if number == 0 else '      '}python -m {PACKAGE} {step}")
