"""``fit``: in one go, or in the stages of its config."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..cli import lightning
from ..cli.lightning import choose_folder
from ..cli.memory import keep_memory
from ..cli.run_options import take
from ..config.parser import known_classes
from ..errors import InputError
from ..processes import gather_objects
from ..resume.load import load_checkpoint
from ..runs.files import write_text
from ..runs.folder import (
    CHECKPOINTS,
    CONFIG,
    PLAN,
    RUN_VARIABLE,
    STAGES,
    discard_run,
    find_checkpoint,
    find_run,
)
from ..runs.job import is_rank_zero
from ..trust.allowed import restrict
from ..trust.masking import mask
from .asked import Asked, take_apart
from .checks import free_memory, make_linker, try_stages
from .plan import Plan, Stage, arguments, load_plan
from .stage import StageCLI


def run(args: list[str]) -> int:
    """Run ``fit``.

    Args:
        args: The command line, beginning with ``fit``.

    Raises:
        InputError: See ``CLI``; or a stage is not valid.
    """
    asked = take_apart(args[1:])
    folder = _find_staged(asked)
    if folder is None and not asked.has_stages:
        return lightning.run(args)
    keep_memory()
    checkpoint, words = None, []
    if asked.run is None:
        plan = asked.begin()
        folder = _reserve(plan, asked.allow)
    elif folder is None:
        raise InputError(
            f"expected a run in stages, got {asked.run}; to begin one with its weights: fit --init_from RUN"
        )
    else:
        plan, words = _extend(folder, asked), asked.words
        checkpoint = Path(asked.run) if Path(asked.run).is_file() else None
    try:
        _go_through(plan, folder, words, asked.allow, checkpoint)
    except InputError:
        if asked.run is None and not (folder / STAGES).exists():
            discard_run(folder, only_if_empty=False)
        raise
    return 0


def _find_staged(asked: Asked) -> Path | None:
    """The folder of the run to go on with, if it has stages."""
    if asked.run is None:
        return None
    root = Path(take(asked.words[:], "--trainer.default_root_dir") or "runs")
    inherited = os.environ.get(RUN_VARIABLE)  # of the process that started this one
    run = Path(inherited) if inherited else find_run(asked.run, root)
    return run if (run / PLAN).is_file() else None


def _reserve(plan: Plan, allow: Iterable[str]) -> Path:
    """Try all stages, and make the folder of a new run."""
    stages = plan.read()
    if not (inherited := os.environ.get(RUN_VARIABLE)):
        _try(plan, stages, [], allow)
    with tempfile.TemporaryDirectory() as files:
        restrict(allow, known_classes())
        config = make_linker().parse(arguments(plan, stages[0], [], Path(files))[1:])
    if config.trainer.fast_dev_run:
        raise SystemExit(0)  # this step was all that it asks for
    folder = Path(inherited) if inherited else choose_folder(config, None)
    if is_rank_zero() and not (folder / PLAN).is_file():  # a job that was started again has it
        folder.mkdir(parents=True, exist_ok=True)
        plan.write(folder)
    return folder


def _extend(run: Path, asked: Asked) -> Plan:
    """The plan of a run, with what this command line adds; stages that have ended must stay as they were.

    Raises:
        InputError: One does not, or a new stage is not valid.
    """
    before = load_plan(run)
    plan = asked.extend(before)
    left, ended = plan.read(), before.read()[: _num_ended(run, before.read())]
    for stage, was, now in zip(
        ended, before.stages, [*mask(plan.stages), *[None] * len(ended)], strict=False
    ):
        if was != now:
            raise InputError(
                f"stages: expected {stage.name} as it was, since it has ended, got another one; add stages "
                f"after {ended[-1].name}, or begin a new run"
            )
    if plan != before and not os.environ.get(RUN_VARIABLE):
        _try(plan, left[len(ended) :], asked.words, asked.allow)
        if is_rank_zero():
            plan.write(run)
    return plan


def _try(plan: Plan, stages: list[Stage], more: list[str], allow: Iterable[str]) -> None:
    """Train a step of each stage, if this process is the only one."""
    sizes = (os.environ.get(name) or "1" for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    if all(size == "1" for size in sizes):
        try_stages(plan, stages, more, allow)


def _go_through(
    plan: Plan, run: Path, more: list[str], allow: Iterable[str], checkpoint: Path | None
) -> None:
    """Train the stages that are left; what has been done is read from the run's folder."""
    stages = plan.read()
    begin: dict[str, Any] = {}
    if plan.init_from:
        begin = {"init_from": Path(plan.init_from), "init_modules": plan.init_modules}
    for stage in stages[_num_moved(run, stages) :]:
        path = checkpoint or _newest(run)
        checkpoint, is_last = None, stage is stages[-1]
        if is_last or path is None or stage.change.get("test_after_fit") or not _has_ended(path):
            options = begin if stage.number == 1 and path is None else {}
            StageCLI(
                plan, stage.number, more, run, ckpt_path=path, allow=allow, keep_tracebacks=True, **options
            )
        gather_objects(None)  # all processes have read what is moved next
        if not is_last and is_rank_zero():
            _move(run, stage)
        gather_objects(None)
        free_memory()


def _move(run: Path, stage: Stage) -> None:
    """Move a stage to its own folder. It has ended once its checkpoints are moved, which is one rename."""
    if _newest(run) is None:
        raise InputError(
            f"stage {stage.name}: expected steps of training, got none; give it more data, or epochs"
        )
    to = run / STAGES / stage.name
    to.mkdir(parents=True, exist_ok=True)
    write_text(to / CONFIG, (run / CONFIG).read_text(encoding="utf-8"))
    (run / CHECKPOINTS).rename(to / CHECKPOINTS)


def _num_moved(run: Path, stages: list[Stage]) -> int:
    return sum((run / STAGES / stage.name / CHECKPOINTS).is_dir() for stage in stages)


def _num_ended(run: Path, stages: list[Stage]) -> int:
    """How many stages have ended; the last may be among them, whose checkpoints are not moved."""
    path = _newest(run)
    return _num_moved(run, stages) + (path is not None and _has_ended(path))


def _newest(run: Path) -> Path | None:
    """The last checkpoint of the stage that a run is in; ``None`` if it has none yet."""
    return find_checkpoint(run, "last") if any((run / CHECKPOINTS).glob("*.ckpt")) else None


def _has_ended(path: Path) -> bool:
    """Whether a checkpoint was written at the end of a training; one that is damaged was not."""
    try:
        states = load_checkpoint(path)["callbacks"].values()
    except InputError:
        return False  # whoever resumes from it looks for another one
    return any(isinstance(state, dict) and state.get("ended_by") for state in states)
