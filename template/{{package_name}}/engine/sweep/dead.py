# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""Retries the trials of processes that died while they ran them."""

import contextlib
from datetime import datetime

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from .database import quiet
from .study import ATTEMPT, KILLS, PLACE, PROCESS, REASON, SLOT, Study, attempt_of

MAX_KILLS = 3  # processes that one slot may kill, such as by too large a model
CLAIM_S = 10  # longest time from the claim of a trial until its machine is recorded


def count_kill(study: Study, process: str, how: str) -> None:
    """Count the death of a process for its trial; a trial that killed ``MAX_KILLS`` is not tried again."""
    for trial in study.trials(TrialState.RUNNING):
        if trial.user_attrs.get(PROCESS) == process:
            kills, trial_id = trial.user_attrs.get(KILLS, 0) + 1, study.id_of(trial.number)
            with contextlib.suppress(UpdateFinishedTrialError):
                study.storage.set_trial_user_attr(trial_id, KILLS, kills)
                if kills >= MAX_KILLS:
                    study.storage.set_trial_user_attr(trial_id, REASON, f"{how}, {kills} times")


def retry_dead(study: Study) -> None:
    """Enqueue interrupted trials again; any number of processes may call this at any time."""
    with quiet():
        optuna.storages.fail_stale_trials(study.study)
    for trial in study.trials(TrialState.RUNNING):
        if _is_dead(study, trial):
            with contextlib.suppress(UpdateFinishedTrialError):
                study.end(trial.number, TrialState.FAIL)
    for trial in study.slots():
        if trial.state == TrialState.FAIL and REASON not in trial.user_attrs:
            attrs = {name: trial.user_attrs[name] for name in (SLOT, KILLS) if name in trial.user_attrs}
            params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            study.study.enqueue_trial(params, attrs | {ATTEMPT: attempt_of(trial) + 1})


def _is_dead(study: Study, trial: FrozenTrial) -> bool:
    if PLACE not in trial.user_attrs:
        began = trial.datetime_start or datetime.min
        return (datetime.now() - began).total_seconds() > CLAIM_S
    lock = study.locks.take(trial.user_attrs[SLOT]) if trial.user_attrs[PLACE] == study.place else None
    if lock:
        lock.close()
    return lock is not None
