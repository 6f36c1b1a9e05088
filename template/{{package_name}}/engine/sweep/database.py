# Optuna is an extra, which need not be installed.
# pyright: reportMissingImports=false
"""The database of a study, and the study in it."""

import contextlib
import time
import warnings
from collections.abc import Iterator

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from ..errors import InputError
from .plan import DATABASE, Plan

HEARTBEAT_S, GRACE_S = 60, 180  # to notice trials that died on another machine
DATABASE_TIMEOUT_S = 60
DEFINITION = "definition"  # attribute of a study


def is_there(plan: Plan) -> bool:
    """Whether the study exists."""
    if plan.storage == "sqlite" and not (plan.root / DATABASE).exists():
        return False
    with quiet():
        storage = connect(plan)
        try:
            return plan.name in optuna.get_all_study_names(storage)
        finally:
            disconnect(storage)


def create_study(plan: Plan, storage: RDBStorage) -> optuna.Study:
    """Make the study, or load it if it exists.

    Raises:
        InputError: Another study has this name, or the folder holds trials of a study that is gone.
    """
    is_new = plan.name not in optuna.get_all_study_names(storage)
    if is_new and list(plan.root.glob("trial-*")):
        raise InputError(f"expected a new study to have no trials in {plan.folder}, got some; give --name")
    study = optuna.create_study(
        storage=storage,
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


def load_study(plan: Plan, storage: RDBStorage) -> optuna.Study:
    """The study, which must exist.

    Raises:
        InputError: It does not exist.
    """
    name, pruner = plan.name, _make_pruner(plan)
    try:
        return optuna.load_study(storage=storage, study_name=name, pruner=pruner)
    except KeyError as error:
        raise InputError(f"expected study {name} in its database, got none") from error


def connect(plan: Plan, num_tries: int = 3) -> RDBStorage:
    """Open the database.

    Raises:
        InputError: It does not answer, or its driver is missing.
    """
    is_sqlite = plan.url.startswith("sqlite:")
    options = {"connect_args": {"timeout": DATABASE_TIMEOUT_S}} if is_sqlite else {"pool_pre_ping": True}
    try:
        storage = RDBStorage(plan.url, options, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S)
        if is_sqlite:
            with storage.engine.connect() as connection:  # halves the time to record a trial, and is as safe
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    except (ImportError, NoSuchModuleError) as error:
        raise InputError(
            f"storage: expected a database whose driver is installed ({error}); for PostgreSQL: "
            "uv pip install 'psycopg[binary]', and postgresql+psycopg://..."
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        if num_tries > 1:
            time.sleep(1)  # another machine may be making the tables
            return connect(plan, num_tries - 1)
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        first = str(cause).partition("\n")[0]
        raise InputError(f"storage: the database does not answer: {first}") from error
    return storage


def disconnect(storage: RDBStorage) -> None:
    """Close all connections."""
    storage.remove_session()
    storage.engine.dispose()


def make_sampler(plan: Plan, slot: int) -> optuna.samplers.BaseSampler:
    """A sampler for one trial, seeded by the study and its slot, whichever process runs the trial."""
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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warnings that features are experimental, which they have been for years."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
