"""A run's folder: the names of its files, how it is made, how it is found again."""

import contextlib
import logging
import re
import shutil
import time
from pathlib import Path

from ..errors import InputError
from .job import is_rank_zero, is_restarted, job_id

CONFIG, DESCRIPTION, METRICS, LOG, REPORT = "config.yaml", "run.json", "metrics.csv", "log.txt", "report.html"
CHECKPOINTS, FIGURES, TABLES = "checkpoints", "figures", "tables"
STAGES, PLAN = "stages", "stages.yaml"  # the ended stages, a folder each; the stages as given
BEST, LAST = "best.ckpt", "last.ckpt"
RUN_VARIABLE = (
    "DL_RUN_FOLDER"  # processes that Lightning starts for further devices inherit it, and so share the folder
)
log = logging.getLogger(__name__)


def reserve_run(root: Path, name: str) -> Path:
    """Make the folder ``<root>/<time or job id>-<name>``; a restarted job gets the one that it had."""
    if not re.fullmatch(r"[\w][\w.+=-]*", name):
        raise InputError(f"expected a name of letters, digits and .+=-_, got {name!r}; choose another --name")
    job = job_id()
    if job and is_restarted():
        (root / f"{job}-{name}").mkdir(parents=True, exist_ok=True)
        return root / f"{job}-{name}"
    base, number = f"{job or time.strftime('%Y%m%d-%H%M%S')}-{name}", 1
    if not is_rank_zero():
        return root / base  # only rank zero makes it and writes to it
    while True:
        run = root / (base if number == 1 else f"{base}-{number}")
        try:
            run.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise InputError(
                f"expected a writable folder, got {root} ({error.strerror}); set --trainer.default_root_dir"
            ) from error
        else:
            return run


def discard_run(run: Path, *, only_if_empty: bool) -> None:
    """Remove a run's folder: with ``only_if_empty`` an empty one, else one with no metrics or checkpoints."""
    if only_if_empty:
        with contextlib.suppress(OSError):
            run.rmdir()
    elif is_rank_zero() and not (run / METRICS).exists() and not (run / CHECKPOINTS).exists():
        shutil.rmtree(run, ignore_errors=True)


def find_run(which: str, root: Path) -> Path:
    """The folder of a run.

    Args:
        which: ``latest`` (of those with a checkpoint), the name of a folder in ``root``, with or without its
            time, or a path to a folder or to something inside it.
        root: Folder of all runs.

    Raises:
        InputError: There is no such run.
    """
    path = Path(which)
    if path.suffix == ".ckpt" and not path.is_file():
        raise InputError(f"no such checkpoint: {path}; see the folders in {root}")
    inside = (path, *path.parents[:2]) if path.exists() else ()
    for candidate in (*inside, root / which):
        if (candidate / CONFIG).is_file():
            return candidate
    runs = sorted(root.glob(f"*/{CONFIG}"), key=lambda config: config.stat().st_mtime)
    if which == "latest":
        whole = [config for config in runs if _has_checkpoint(config.parent)] or runs
        if runs and whole[-1] != runs[-1]:
            log.warning(f"{runs[-1].parent} has no checkpoint: latest is {whole[-1].parent}")
        runs = whole
    else:
        runs = [config for config in runs if config.parent.name.endswith(f"-{which}")]
    if not runs:
        names = sorted(config.parent.name for config in root.glob(f"*/{CONFIG}"))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        known = ", ".join(names[-3:]) or "none"
        raise InputError(f"expected a run in {root}, got {which!r}; runs there: {known}{more}")
    return runs[-1].parent


def find_checkpoint(run: Path, prefer: str = "last") -> Path:
    """``last.ckpt`` or ``best.ckpt`` of a run, or the other one if that is missing.

    Raises:
        InputError: The run has no checkpoint.
    """
    for name in (prefer, "last", "best"):
        if (path := run / CHECKPOINTS / f"{name}.ckpt").is_file():
            return path
    raise InputError(
        f"expected a checkpoint in {run / CHECKPOINTS}, got none; the run ended before its first"
    )


def _has_checkpoint(run: Path) -> bool:
    """Whether there is a checkpoint to resume from, of this stage or of an earlier one."""
    return any(any(run.glob(f"{place}{CHECKPOINTS}/*.ckpt")) for place in ("", f"{STAGES}/*/"))


def checkpoints_by_age(run: Path) -> list[Path]:
    """The checkpoints from which a run can be resumed, newest first."""
    return sorted((run / CHECKPOINTS).glob("*.ckpt"), key=lambda path: -path.stat().st_mtime_ns)
