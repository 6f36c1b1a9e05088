"""The study in its database: which trials there are, who runs them, and what becomes of those that died.

A search is a number of *slots*, enqueued before the first trial: the points of a grid, or trials whose
parameters are sampled. A slot is tried again, as a further trial of Optuna, when its process was killed. A
process holds the slot's lock while it works on it; the kernel frees the lock of a process that dies, whatever
it dies of.
"""

import contextlib
import fcntl
import os
import platform
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import optuna  # pyright: ignore[reportMissingImports] # may be declined
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError  # pyright: ignore[reportMissingImports] # may be declined
from optuna.storages import RDBStorage  # pyright: ignore[reportMissingImports] # may be declined
from optuna.study import StudyDirection  # pyright: ignore[reportMissingImports] # may be declined
from optuna.trial import FrozenTrial, TrialState  # pyright: ignore[reportMissingImports] # may be declined
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from ..errors import InputError
from .plan import DATABASE, Plan
from .space import grid, labels

HEARTBEAT_S, GRACE_S = 60, 180  # for what died on another machine
CLAIM_S = 10  # between the claim of a trial and the name of its machine
MAX_KILLS = 3  # of one slot, by what is in it, such as too large a model
DATABASE_TIMEOUT_S = 60
SLOT, ATTEMPT, PLACE, PROCESS, KILLS, REASON = "slot", "attempt", "place", "process", "kills", "reason"
DEFINITION = "definition"  # of a study
UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


class LostTrialError(Exception):
    """Others took this process for dead, and its trial away."""


@dataclass(kw_only=True)
class Claim:
    """A trial that this process runs."""

    trial: optuna.Trial
    slot: int
    lock: IO[str]


class Study:
    """A study of Optuna, of which trials are claimed and to which they are told.

    Args:
        plan: What is searched.
        create: Make the study, or go on with it; else it must exist.

    Raises:
        InputError: The database cannot be used, or has another study of this name.
    """

    def __init__(self, plan: Plan, *, create: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.plan, self.locks = plan, plan.root / "locks"
        self.place = f"{platform.node()}:{self.locks.resolve()}"  # where locks tell who lives
        if create:
            plan.root.mkdir(parents=True, exist_ok=True)
        with _quiet():
            self.storage = _connect(plan)
            self.study = self._create() if create else self._load()
        self.study_id = self.storage.get_study_id_from_name(plan.name)

    def close(self) -> None:
        """Give the connections to the database back."""
        _disconnect(self.storage)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Those of Optuna, in their order; of all states if none is given."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def slots(self) -> list[FrozenTrial]:
        """The newest trial of each slot."""
        newest: dict[int, FrozenTrial] = {}
        for trial in self.trials():
            slot = trial.user_attrs[SLOT]
            # Two machines may have enqueued the same: the first of a kind counts.
            if slot not in newest or _attempt(trial) > _attempt(newest[slot]):
                newest[slot] = trial
        return [newest[slot] for slot in sorted(newest)]

    def best(self) -> list[FrozenTrial]:
        """The best trial, or those that no other one beats in all objectives; none if none is complete."""
        if not self.trials(TrialState.COMPLETE):
            return []
        if len(self.plan.objectives) == 1:
            return [self.study.best_trial]
        first = next(iter(self.plan.objectives.values()))
        return sorted(self.study.best_trials, key=lambda one: one.values[0], reverse=first == "maximize")

    def enqueue(self) -> None:
        """Add the slots that are missing."""
        present = {trial.user_attrs[SLOT] for trial in self.trials()}
        if len(present) > self.plan.num_trials:
            raise InputError(
                f"trials: expected at least the {len(present)} of study {self.plan.name}, "
                f"got {self.plan.num_trials}; for another study give --name"
            )
        points = grid(self.plan.space) if self.plan.sampler == "grid" else [{}] * self.plan.num_trials
        for slot, point in enumerate(points):
            if slot not in present:
                self.study.enqueue_trial(labels(self.plan.entries, point), {SLOT: slot, ATTEMPT: 0})

    # ------------------------------------------------------------------------------------- running trials

    def claim(self) -> Claim | None:
        """Take the first trial that waits; ``None`` if there is none to take."""
        for waiting in self.trials(TrialState.WAITING):
            slot, trial_id = waiting.user_attrs[SLOT], self._id(waiting.number)
            if self._is_repeated(waiting):
                with contextlib.suppress(UpdateFinishedTrialError):
                    self.fail(waiting.number, "enqueued twice")
            elif lock := self._lock(slot):
                with contextlib.suppress(UpdateFinishedTrialError), _quiet():
                    if self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                        self.study.sampler = _make_sampler(self.plan, slot)
                        trial = optuna.Trial(self.study, trial_id)
                        trial.set_user_attr(PROCESS, process_name(os.getpid()))
                        trial.set_user_attr(PLACE, self.place)
                        return Claim(trial=trial, slot=slot, lock=lock)
                lock.close()
        return None

    @contextlib.contextmanager
    def alive(self, claim: Claim) -> Iterator[None]:
        """Tell other machines every minute that a trial is being worked on."""
        ended, trial_id = threading.Event(), self._id(claim.trial.number)

        def beat() -> None:
            is_over = False
            while not is_over:
                with contextlib.suppress(SQLAlchemyError, StorageInternalError):
                    self.storage.record_heartbeat(trial_id)
                is_over = ended.wait(HEARTBEAT_S)
            self.storage.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except UpdateFinishedTrialError as error:
            raise LostTrialError from error
        finally:
            ended.set()
            thread.join()
            claim.lock.close()

    def complete(self, claim: Claim, values: list[float]) -> None:
        """Record what a trial came to."""
        self._end(claim.trial.number, TrialState.COMPLETE, values)

    def prune(self, claim: Claim) -> None:
        """Record that a trial was not worth finishing; its value is the last that was reported."""
        reported = self.storage.get_trial(self._id(claim.trial.number)).intermediate_values
        self._end(claim.trial.number, TrialState.PRUNED, [reported[max(reported)]] if reported else None)

    def fail(self, number: int, reason: str) -> None:
        """Record why a trial failed; it is not tried again."""
        # First the reason: what failed without one is taken for killed.
        self.storage.set_trial_user_attr(self._id(number), REASON, reason)
        self._end(number, TrialState.FAIL)

    # ---------------------------------------------------------------------------------------- dead processes

    def count_kill(self, process: str, how: str) -> None:
        """Note that a process died at work: what kills its process again and again is given up."""
        for trial in self.trials(TrialState.RUNNING):
            if trial.user_attrs.get(PROCESS) == process:
                kills, trial_id = trial.user_attrs.get(KILLS, 0) + 1, self._id(trial.number)
                with contextlib.suppress(UpdateFinishedTrialError):
                    self.storage.set_trial_user_attr(trial_id, KILLS, kills)
                    if kills >= MAX_KILLS:
                        self.storage.set_trial_user_attr(trial_id, REASON, f"{how}, {kills} times")

    def retry_dead(self) -> None:
        """Let what was interrupted be tried again; at any time, by any number of processes."""
        with _quiet():
            optuna.storages.fail_stale_trials(self.study)
        for trial in self.trials(TrialState.RUNNING):
            if self._is_dead(trial):
                with contextlib.suppress(UpdateFinishedTrialError):
                    self._end(trial.number, TrialState.FAIL)
        for trial in self.slots():
            if trial.state == TrialState.FAIL and REASON not in trial.user_attrs:
                attrs = {name: trial.user_attrs[name] for name in (SLOT, KILLS) if name in trial.user_attrs}
                params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
                self.study.enqueue_trial(params, attrs | {ATTEMPT: _attempt(trial) + 1})

    def _is_dead(self, trial: FrozenTrial) -> bool:
        if PLACE not in trial.user_attrs:
            began = trial.datetime_start or datetime.min
            return (datetime.now() - began).total_seconds() > CLAIM_S
        lock = self._lock(trial.user_attrs[SLOT]) if trial.user_attrs[PLACE] == self.place else None
        if lock:
            lock.close()
        return lock is not None

    def _is_repeated(self, trial: FrozenTrial) -> bool:
        kind = trial.user_attrs[SLOT], _attempt(trial)
        earlier = (other for other in self.trials() if other.number < trial.number)
        return any((other.user_attrs[SLOT], _attempt(other)) == kind for other in earlier)

    def _end(self, number: int, state: TrialState, values: list[float] | None = None) -> None:
        # Not by `tell`, which does not say whether another process was first.
        self.storage.set_trial_state_values(self._id(number), state, values)

    def _lock(self, slot: int) -> IO[str] | None:
        """The slot's lock, to be closed; ``None`` if another process of this machine has it."""
        self.locks.mkdir(parents=True, exist_ok=True)
        file = (self.locks / f"{slot:04d}").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file

    # ------------------------------------------------------------------------------------------- the database

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def _create(self) -> optuna.Study:
        plan, is_new = self.plan, self.plan.name not in optuna.get_all_study_names(self.storage)
        if is_new and list(plan.root.glob("trial-*")):
            raise InputError(
                f"expected a new study to have no trials in {plan.folder}, got some; give --name"
            )
        study = optuna.create_study(
            storage=self.storage,
            study_name=plan.name,
            directions=[StudyDirection[one.upper()] for one in plan.objectives.values()],
            pruner=_make_pruner(plan),
            load_if_exists=True,
        )
        known = study.user_attrs.get(DEFINITION) or dict.fromkeys(plan.definition)
        changed = [key for key, value in plan.definition.items() if known[key] != value]
        if changed and study.get_trials(deepcopy=False):
            raise InputError(
                f"expected the {changed[0]} of study {plan.name}, {known[changed[0]]}, got "
                f"{plan.definition[changed[0]]}; for another study give --name"
            )
        study.set_user_attr(DEFINITION, plan.definition)
        return study

    def _load(self) -> optuna.Study:
        name, pruner = self.plan.name, _make_pruner(self.plan)
        try:
            return optuna.load_study(storage=self.storage, study_name=name, pruner=pruner)
        except KeyError as error:
            raise InputError(f"expected study {name} in its database, got none") from error


def process_name(pid: int) -> str:
    """What stands for a process of this machine in the study."""
    return f"{platform.node()} {pid}"


def is_there(plan: Plan) -> bool:
    """Whether the study exists."""
    if plan.storage == "sqlite" and not (plan.root / DATABASE).exists():
        return False
    with _quiet():
        storage = _connect(plan)
        try:
            return plan.name in optuna.get_all_study_names(storage)
        finally:
            _disconnect(storage)


def _connect(plan: Plan, num_tries: int = 3) -> RDBStorage:
    is_sqlite = plan.url.startswith("sqlite:")
    options = {"connect_args": {"timeout": DATABASE_TIMEOUT_S}} if is_sqlite else {"pool_pre_ping": True}
    try:
        storage = RDBStorage(plan.url, options, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S)
        if is_sqlite:
            with storage.engine.connect() as connection:  # half the time of a trial's records, and as safe
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    except (ImportError, NoSuchModuleError) as error:
        raise InputError(
            f"storage: expected a database whose driver is installed ({error}); for PostgreSQL: "
            "uv pip install 'psycopg[binary]', and postgresql+psycopg://..."
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        if num_tries > 1:
            time.sleep(1)  # another machine may be making the tables
            return _connect(plan, num_tries - 1)
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        first = str(cause).partition("\n")[0]
        raise InputError(f"storage: expected a database that answers, got: {first}") from error
    return storage


def _disconnect(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()


def _make_sampler(plan: Plan, slot: int) -> optuna.samplers.BaseSampler:
    """A sampler for one trial: what it draws does not depend on who runs it, nor on interruptions."""
    seed = (plan.seed * 1_000_003 + slot) % 2**32
    if plan.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    return optuna.samplers.RandomSampler(seed)


def _make_pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=plan.num_epochs or "auto")
    if plan.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1)
    return optuna.pruners.MedianPruner() if plan.pruner == "median" else optuna.pruners.NopPruner()


def _attempt(trial: FrozenTrial) -> int:
    return trial.user_attrs[ATTEMPT]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings about what it calls experimental, and has kept for years."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
