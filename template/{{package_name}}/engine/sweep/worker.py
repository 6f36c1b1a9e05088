# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""A worker: a process that runs trials of the study until none is left."""

import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..cli.console import plain_output
from ..runs.folder import LOG
from .dead import retry_dead
from .plan import Plan
from .space import as_options
from .study import REASON, UNFINISHED, Claim, LostTrialError, Study
from .trial import (
    Report,
    check_finite,
    fit,
    fit_apart,
    last_values,
    log_hparams,
    prepare_folder,
    read_metric,
)

POLL_S = 1.0
MAX_FAILURES = 5  # in a row
DATABASE_ERRORS = UpdateFinishedTrialError, StorageInternalError, SQLAlchemyError
OUTPUT = "workers.log"
log = logging.getLogger(__name__)


def work(plan: Plan, began: datetime) -> None:
    """Run trials until none is left, or too many failed in a row.

    Args:
        plan: The plan of the search.
        began: Only failures since then count.
    """
    with contextlib.closing(Study(plan)) as study:
        while failed_in_a_row(study, began) is None:
            retry_dead(study)
            if claim := study.claim():
                run_trial(study, claim)
            elif study.trials(*UNFINISHED):
                time.sleep(POLL_S)  # a process may die and leave its trial
            else:
                return


def run_trial(study: Study, claim: Claim) -> None:
    """Run a trial, and record whether it is complete, pruned or failed."""
    run = run_folder(study.plan, claim.slot)
    try:
        with study.alive(claim):
            point = {key: entry.suggest(claim.trial, key) for key, entry in study.plan.entries.items()}
            record = _fit(study, claim, point, run)
            log_hparams(run, point, list(study.plan.objectives))
            record()
    except LostTrialError:
        log.warning(f"trial {claim.slot} was presumed dead, and is retried elsewhere")


def _fit(study: Study, claim: Claim, point: Mapping[str, Any], run: Path) -> Callable[[], None]:
    """Train; return a function that records the result."""
    plan, options = study.plan, [*study.plan.fit, *as_options(point)]
    prepare_folder(run)
    report = _make_report(study, claim, run)
    try:
        if plan.num_devices > 1 or plan.in_stages:
            fit_apart(options, run, report, claim.lock.fileno())
        else:
            fit(options, run, report)
        return partial(study.complete, claim, last_values(run, list(plan.objectives)))
    except optuna.TrialPruned:
        return partial(study.prune, claim)
    except DATABASE_ERRORS:
        raise
    except Exception as error:
        # Whatever a model raises ends this trial, and not the others. SystemExit is not caught: a trial that
        # was interrupted is tried again.
        _keep_traceback(run, error)
        return partial(study.fail, claim.trial.number, " ".join(str(error).split()) or type(error).__name__)


def _make_report(study: Study, claim: Claim, run: Path) -> Report:
    metric, trial = next(iter(study.plan.objectives)), claim.trial
    reported = set()

    def on_epoch(epoch: int, value: float) -> None:
        check_finite(metric, value)
        if study.plan.pruner != "none" and epoch not in reported:
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    if study.plan.pruner != "none":
        for epoch, value in enumerate(
            read_metric(run, metric), start=1
        ):  # from an attempt that was interrupted
            trial.report(value, epoch)
            reported.add(epoch)
    return Report(metric, on_epoch)


def _keep_traceback(run: Path, error: BaseException) -> None:
    run.mkdir(parents=True, exist_ok=True)
    with (run / LOG).open("a", encoding="utf-8") as file:
        file.writelines(traceback.format_exception(error))


def run_folder(plan: Plan, slot: int) -> Path:
    """The run folder of a trial."""
    return plan.root / f"trial-{slot:04d}"


def failed_in_a_row(study: Study, began: datetime) -> str | None:
    """The last error, if the last ``MAX_FAILURES`` trials since ``began`` failed; else ``None``."""

    def when(trial: FrozenTrial) -> datetime:
        return trial.datetime_complete or datetime.min

    ended = [trial for trial in study.slots() if trial.state.is_finished() and when(trial) >= began]
    last = sorted(ended, key=when)[-MAX_FAILURES:]
    if len(last) < MAX_FAILURES or any(trial.state != TrialState.FAIL for trial in last):
        return None
    return last[-1].user_attrs.get(REASON, "its process was killed")


# ---------------------------------------------------------------------------------------------- the process


def start(plan: Plan, began: datetime, gpus: str | None) -> BaseProcess:
    """Start a worker.

    Args:
        plan: The plan of the search.
        began: See ``work``.
        gpus: Its ``CUDA_VISIBLE_DEVICES``; ``None`` changes nothing.
    """
    process = processes().Process(target=_main, args=(plan, began, gpus), name="worker")
    process.start()
    return process


def stop(worker: BaseProcess) -> None:
    """End a worker and all that it started; its trial is resumed later, from the last checkpoint."""
    assert worker.pid is not None
    with contextlib.suppress(ProcessLookupError):  # it has no group yet, or has ended
        os.killpg(worker.pid, signal.SIGKILL)
    worker.kill()
    worker.join()


def processes() -> ForkServerContext | SpawnContext:
    """How processes are started: on Linux, forked from a server process that only imported this module."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _main(plan: Plan, began: datetime, gpus: str | None) -> None:
    os.setpgid(0, 0)  # with all that it starts; the coordinator stops the group, not the terminal
    die_with_parent()
    output = os.open(plan.root / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    os.environ.setdefault("WANDB_RUN_GROUP", plan.name)
    gc.freeze()  # else each garbage collection would scan all that is imported
    with plain_output():
        work(plan, began)


def die_with_parent() -> None:
    """End this process's group as soon as its parent has ended, even by ``kill -9``."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
