"""Claims, deaths and retries, without any training."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from my_project.engine.errors import InputError
from my_project.engine.sweep import database, dead
from my_project.engine.sweep.dead import count_kill, retry_dead
from my_project.engine.sweep.plan import Plan
from my_project.engine.sweep.study import Claim, LostTrialError, Study, process_name
from optuna.trial import TrialState
from sweep_support import MakePlan

TakeTrial = Callable[..., Claim]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with Optuna's tables, which take a while to make."""
    folder = tmp_path_factory.mktemp("tables")
    plan = Plan(
        name="empty", folder=str(folder), objectives={"x": "minimize"}, sampler="random", num_trials=0,
        pruner="none", storage="sqlite", space={"x": 1},
    )  # fmt: skip
    Study(plan, create=True).close()
    return plan.root / "study.db"


@pytest.fixture
def study(make_plan: MakePlan, tables: Path) -> Iterator[Study]:
    """A study of three trials with a random ``x``."""
    plan = make_plan()
    plan.root.mkdir()
    shutil.copy(tables, plan.root)
    study = Study(plan, create=True)
    study.enqueue()
    plan.save()
    yield study
    study.close()


@pytest.fixture
def take(study: Study) -> Iterator[TakeTrial]:
    """Claims a trial and draws its ``x``; frees the lock at the end."""
    claims = []

    def take(of: Study = study) -> Claim:
        claimed = of.claim()
        assert claimed is not None
        claims.append(claimed)
        claimed.trial.suggest_float("x", 0, 1)
        return claimed

    yield take
    for claimed in claims:
        claimed.lock.close()


def states(study: Study) -> list[str]:
    return [trial.state.name for trial in study.slots()]


def die(claimed: Claim) -> None:
    """Leave a trial as a process does that is killed: its lock is free, and nothing was told."""
    claimed.lock.close()


def test_each_trial_is_claimed_once_in_order(study: Study, take: TakeTrial) -> None:
    claims = [take() for _ in range(3)]

    assert [one.slot for one in claims] == [0, 1, 2]
    assert study.claim() is None
    with study.alive(claims[1]):
        study.complete(claims[1], [0.5])
    assert states(study) == ["RUNNING", "COMPLETE", "RUNNING"]
    assert [trial.number for trial in study.best()] == [1]


def test_random_points_depend_on_the_trial_alone(study: Study, take: TakeTrial, make_plan: MakePlan) -> None:
    drawn = [take().trial.params["x"] for _ in range(3)]
    other = Study(make_plan(folder="other"), create=True)
    other.enqueue()
    take(other)
    again = take(other).trial.params["x"]
    other.close()

    assert len(set(drawn)) == 3
    assert again == drawn[1]


def test_a_trial_in_another_folder_of_this_machine_is_left_alone(
    study: Study, take: TakeTrial, make_plan: MakePlan
) -> None:
    """Where its locks are not ours, nothing is known but its heartbeat."""
    take()
    other = Study(make_plan(folder="other", storage=study.plan.url))

    retry_dead(other)

    assert states(other)[0] == "RUNNING"
    other.close()


def test_a_live_trial_is_left_alone_and_a_dead_one_is_tried_again_with_its_parameters(
    study: Study, take: TakeTrial
) -> None:
    take()
    die(take())

    retry_dead(study)
    retry_dead(study)

    assert states(study) == ["RUNNING", "WAITING", "WAITING"]
    dead = study.trials()[1]
    retry = take()
    assert retry.slot == 2, "what waited longer comes first"
    retry = take()
    assert (retry.slot, study.slots()[1].user_attrs["attempt"]) == (1, 1)
    assert retry.trial.params == dead.params
    assert len(study.trials()) == 4


def test_a_retry_that_was_cut_short_is_made_up_for(study: Study, take: TakeTrial) -> None:
    """Killed between the end of the dead trial and the start of its successor."""
    one = take()
    study.storage.set_trial_state_values(1, TrialState.FAIL)
    one.lock.close()

    retry_dead(study)

    assert study.slots()[0].user_attrs["attempt"] == 1


def test_a_claim_that_was_cut_short_is_made_up_for(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the claim and before its machine was known."""
    study.storage.set_trial_state_values(1, TrialState.RUNNING)
    retry_dead(study)
    assert states(study)[0] == "RUNNING"

    monkeypatch.setattr(dead, "CLAIM_S", 0)
    retry_dead(study)

    assert states(study)[0] == "WAITING"


def test_another_machine_is_dead_when_it_is_silent(
    study: Study, take: TakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "place", "elsewhere:/locks")
    with study.alive(take()):
        pass  # a heartbeat
    monkeypatch.undo()

    retry_dead(study)
    assert states(study)[0] == "RUNNING", "its lock is no lock of this machine"
    study.storage.grace_period = -1
    retry_dead(study)
    assert states(study)[0] == "WAITING"


def test_what_kills_its_process_three_times_is_given_up(study: Study, take: TakeTrial) -> None:
    for _ in range(3):
        die(take())
        count_kill(study, process_name(os.getpid()), "its process was killed by signal 9")
        retry_dead(study)
        while (waiting := study.trials(TrialState.WAITING)) and waiting[0].user_attrs["slot"] != 0:
            other = take()  # the others go first, so that the same one is the next again
            study.complete(other, [1.0])

    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.slots()[0].user_attrs["reason"] == "its process was killed by signal 9, 3 times"


def test_what_two_machines_enqueued_at_once_is_run_once(study: Study, take: TakeTrial) -> None:
    study.study.enqueue_trial({}, {"slot": 0, "attempt": 0})

    for _ in range(3):
        take()

    assert study.claim() is None
    assert study.trials()[3].state == TrialState.FAIL
    retry_dead(study)
    assert not study.trials(TrialState.WAITING)


def test_a_trial_that_was_given_away_is_not_told_twice(study: Study, take: TakeTrial) -> None:
    one = take()
    study.storage.set_trial_state_values(1, TrialState.FAIL)

    with pytest.raises(LostTrialError), study.alive(one):
        study.complete(one, [1.0])


def test_more_trials_may_be_asked_for_but_not_fewer(study: Study, make_plan: MakePlan) -> None:
    more = Study(make_plan(num_trials=5), create=True)
    more.enqueue()
    assert len(more.slots()) == 5
    more.close()

    fewer = Study(make_plan(num_trials=4), create=True)
    with pytest.raises(InputError, match="trials: expected at least the 5 of study study, got 4"):
        fewer.enqueue()
    fewer.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("space", {"x": {"uniform": [0, 2]}}),
        ("objectives", {"val/loss": "maximize"}),
        ("sampler", "tpe"),
        ("pruner", "median"),
    ],
)
def test_a_study_that_changed_is_refused(
    study: Study, make_plan: MakePlan, field: str, value: object
) -> None:
    before = [trial.state for trial in study.trials()]

    with pytest.raises(InputError, match=rf"expected the {field} of study study, .*; for another .* --name"):
        Study(make_plan(**{field: value}), create=True)

    assert [trial.state for trial in study.trials()] == before


def test_a_new_study_does_not_take_the_runs_of_another(make_plan: MakePlan) -> None:
    plan = make_plan()
    (plan.root / "trial-0000").mkdir(parents=True)

    with pytest.raises(InputError, match="expected a new study to have no trials in"):
        Study(plan, create=True)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense://host/db", "expected a database whose driver is installed"),
        ("sqlite:////nowhere/study.db", "the database does not answer"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, storage: str, message: str
) -> None:
    monkeypatch.setattr(database.time, "sleep", lambda seconds: None)

    with pytest.raises(InputError, match=f"storage: {message}"):
        Study(make_plan(storage=storage), create=True)


def test_there_is_no_study_before_it_is_made(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert not database.is_there(plan)
    assert not plan.root.exists()
    Study(plan, create=True).close()
    assert database.is_there(plan)
    with pytest.raises(InputError, match="expected study other in its database, got none"):
        Study(make_plan(name="other"))
    assert not list(plan.root.glob("trial-*"))
