# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""The study in its database: its trials, the processes that run them, and their results.

A search is a number of *slots*, enqueued before the first trial: the points of a grid, or trials whose
parameters are sampled. If its process is killed, a slot is tried again, as a further trial of Optuna. A
process holds the slot's lock while it works on it; the kernel frees the lock of a process that dies, however
it dies.
"""

import contextlib
import fcntl
import os
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..errors import InputError
from .database import HEARTBEAT_S, connect, create_study, disconnect, load_study, make_sampler, quiet
from .plan import Plan
from .space import grid, labels

SLOT, ATTEMPT, PLACE, PROCESS, KILLS, REASON = "slot", "attempt", "place", "process", "kills", "reason"
UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


class SlotLocks:
    """One file per slot, locked as long as a process of this machine works on it.

    Args:
        folder: Folder of the files; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, slot: int) -> IO[str] | None:
        """The slot's lock, which the caller closes; ``None`` if another process of this machine has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / f"{slot:04d}").open("w", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file


class LostTrialError(Exception):
    """Another process took this one for dead, and ended its trial."""


@dataclass(kw_only=True)
class Claim:
    """A trial that this process runs."""

    trial: optuna.Trial
    slot: int
    lock: IO[str]


class Study:
    """A study of Optuna: processes claim trials from it, and record their results in it.

    Args:
        plan: The plan of the search.
        create: Make the study if it does not exist; without this, it must exist.

    Raises:
        InputError: The database cannot be used, or has another study of this name.
    """

    def __init__(self, plan: Plan, *, create: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.plan, self.locks = plan, SlotLocks(plan.root / "locks")
        self.place = f"{platform.node()}:{self.locks.folder.resolve()}"  # its processes share the locks
        if create:
            plan.root.mkdir(parents=True, exist_ok=True)
        with quiet():
            self.storage = connect(plan)
            self.study = (create_study if create else load_study)(plan, self.storage)
        self.study_id = self.storage.get_study_id_from_name(plan.name)

    def close(self) -> None:
        """Close the connections to the database."""
        disconnect(self.storage)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Optuna's trials in these states, in order; all if no state is given."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def slots(self) -> list[FrozenTrial]:
        """The newest trial of each slot."""
        newest: dict[int, FrozenTrial] = {}
        for trial in self.trials():
            slot = trial.user_attrs[SLOT]
            # Two machines may have enqueued the same attempt: the first one counts.
            if slot not in newest or attempt_of(trial) > attempt_of(newest[slot]):
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
        """Add the slots that are missing; refuse a plan with fewer trials than the study has."""
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
        """Take the first waiting trial; ``None`` if there is none."""
        for waiting in self.trials(TrialState.WAITING):
            slot, trial_id = waiting.user_attrs[SLOT], self.id_of(waiting.number)
            if self._is_repeated(waiting):
                with contextlib.suppress(UpdateFinishedTrialError):
                    self.fail(waiting.number, "enqueued twice")
            elif lock := self.locks.take(slot):
                with contextlib.suppress(UpdateFinishedTrialError), quiet():
                    if self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                        self.study.sampler = make_sampler(self.plan, slot)
                        trial = optuna.Trial(self.study, trial_id)
                        trial.set_user_attr(PROCESS, process_name(os.getpid()))
                        trial.set_user_attr(PLACE, self.place)
                        return Claim(trial=trial, slot=slot, lock=lock)
                lock.close()
        return None

    @contextlib.contextmanager
    def alive(self, claim: Claim) -> Iterator[None]:
        """Tell other machines every minute that the trial is running; close its lock at the end."""
        ended, trial_id = threading.Event(), self.id_of(claim.trial.number)

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
        """Record the values of a trial, one per objective."""
        self.end(claim.trial.number, TrialState.COMPLETE, values)

    def prune(self, claim: Claim) -> None:
        """Record that a trial was pruned, with the last value that it reported."""
        reported = self.storage.get_trial(self.id_of(claim.trial.number)).intermediate_values
        self.end(claim.trial.number, TrialState.PRUNED, [reported[max(reported)]] if reported else None)

    def fail(self, number: int, reason: str) -> None:
        """Record why a trial failed; it is not tried again."""
        # The reason comes first: a trial that failed without one is taken for killed.
        self.storage.set_trial_user_attr(self.id_of(number), REASON, reason)
        self.end(number, TrialState.FAIL)

    def _is_repeated(self, trial: FrozenTrial) -> bool:
        kind = trial.user_attrs[SLOT], attempt_of(trial)
        earlier = (other for other in self.trials() if other.number < trial.number)
        return any((other.user_attrs[SLOT], attempt_of(other)) == kind for other in earlier)

    def end(self, number: int, state: TrialState, values: list[float] | None = None) -> None:
        """Record the state of a trial that ended; Optuna raises an error if another process did so before."""
        # Not by `tell`, which does not say whether another process was first.
        self.storage.set_trial_state_values(self.id_of(number), state, values)

    def id_of(self, number: int) -> int:
        """The key of a trial in the database."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)


def process_name(pid: int) -> str:
    """The name of a process of this machine in the study."""
    return f"{platform.node()} {pid}"


def attempt_of(trial: FrozenTrial) -> int:
    """How many times the trial's slot was tried before."""
    return trial.user_attrs[ATTEMPT]
