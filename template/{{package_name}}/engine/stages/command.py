"""``fit``: in one go, or in the stages of its config."""

import gc
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..cli import lightning
from ..cli.lightning import choose_folder
from ..cli.memory import keep_memory
from ..cli.run_options import ALLOW, INIT_FROM, INIT_MODULES, expand_run_options, take, take_all
from ..config.linking import Linker, read_config
from ..config.parser import known_classes
from ..errors import InputError, input_error_in
from ..errors.tracebacks import describe_error
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
from .plan import Plan, Stage, arguments, load_plan
from .stage import StageCLI, Trial

KEY = "stages"


def run(args: list[str]) -> int:
    """Run ``fit``.

    Args:
        args: The command line, beginning with ``fit``.

    Raises:
        InputError: See ``CLI``; or a stage says what cannot be.
    """
    words = list(args[1:])
    which = take(words, "--resume")
    allow, paths = take_all(words, ALLOW), [*take_all(words, "--config"), *take_all(words, "-c")]
    configs = [read_config(path) for path in paths]
    asked = next((config.pop(KEY) for config in configs if KEY in config), None)
    if which is None and asked is None:
        return lightning.run(args)
    folder = _find_staged(which, words)
    if folder is None and asked is None:
        return lightning.run(args)
    keep_memory()
    if which is None:
        plan = _begin(configs, words, asked)
        folder, checkpoint, words = _reserve(plan, allow), None, []
    elif folder is None:
        raise InputError(
            f"expected a run in stages, got {which}; to begin one with its weights: fit --init_from RUN"
        )
    else:
        plan = _extend(folder, configs, asked, words, allow)
        checkpoint = Path(which) if Path(which).is_file() else None
    try:
        _go_through(plan, folder, words, allow, checkpoint)
    except InputError:
        if which is None and not (folder / STAGES).exists():
            discard_run(folder, only_if_empty=False)
        raise
    return 0


def _find_staged(which: str | None, words: list[str]) -> Path | None:
    """The folder of the run to go on with, if it has stages."""
    if which is None:
        return None
    root = Path(take(list(words), "--trainer.default_root_dir") or "runs")
    inherited = os.environ.get(RUN_VARIABLE)  # of the process that started this one
    run = Path(inherited) if inherited else find_run(which, root)
    return run if (run / PLAN).is_file() else None


def _begin(configs: list[dict[str, Any]], words: list[str], stages: Any) -> Plan:
    """What the command line of a new run asks for."""
    _, options = expand_run_options(["fit", *words])
    for option in (INIT_FROM, INIT_MODULES):
        take(words, option)
    init_from = str(options["init_from"]) if "init_from" in options else None
    modules = list(options.get("init_modules", []))
    return Plan(configs=configs, options=words, stages=stages, init_from=init_from, init_modules=modules)


def _reserve(plan: Plan, allow: Iterable[str]) -> Path:
    """Try all stages, and make the folder of a new run."""
    stages = plan.read()
    if not (inherited := os.environ.get(RUN_VARIABLE)):
        _try(plan, stages, [], allow)
    with tempfile.TemporaryDirectory() as files:
        linker = Linker(lightning.make_parsers()["fit"])
        restrict(allow, known_classes())
        config = linker.parse(arguments(plan, stages[0], [], Path(files))[1:])
    if config.trainer.fast_dev_run:
        raise SystemExit(0)  # that is what was done
    folder = Path(inherited) if inherited else choose_folder(config, None)
    if is_rank_zero() and not (folder / PLAN).is_file():  # a job that was started again has it
        folder.mkdir(parents=True, exist_ok=True)
        plan.write(folder)
    return folder


def _extend(
    run: Path, configs: list[dict[str, Any]], stages: Any, words: list[str], allow: Iterable[str]
) -> Plan:
    """What was asked of a run, with what is asked now; stages that have ended stay as they were.

    Raises:
        InputError: They do not, or a new stage says what cannot be.
    """
    plan = before = load_plan(run)
    if new := [config for config in configs if config and mask(config) not in plan.configs]:
        plan = replace(plan, configs=[*plan.configs, *new])
    if stages is not None:
        plan = replace(plan, stages=stages)
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
        _try(plan, left[len(ended) :], words, allow)
        if is_rank_zero():
            plan.write(run)
    return plan


def _try(plan: Plan, stages: list[Stage], more: list[str], allow: Iterable[str]) -> None:
    """Train a step of each stage, where this process is the only one."""
    sizes = (os.environ.get(name) or "1" for name in ("WORLD_SIZE", "SLURM_NTASKS"))
    if all(size == "1" for size in sizes):
        for stage in stages:
            try:
                Trial(plan, stage.number, more, allow=allow)
            except Exception as error:  # whatever a model raises, it is for the user
                why = str(input_error_in(error) or describe_error(error))
                name = f"stage {stage.name}: "
                raise InputError(why if why.startswith(name) else name + why) from error
            _free_memory()


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
        gather_objects(None)  # all have read what is moved now
        if not is_last and is_rank_zero():
            _move(run, stage)
        gather_objects(None)
        _free_memory()


def _move(run: Path, stage: Stage) -> None:
    """Make room for the next stage. The stage has ended when its checkpoints are moved, which is one step."""
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
    """The last one, too, whose checkpoints stay where they are."""
    path = _newest(run)
    return _num_moved(run, stages) + (path is not None and _has_ended(path))


def _newest(run: Path) -> Path | None:
    """The checkpoint of the stage in the middle of which a run is."""
    return find_checkpoint(run, "last") if any((run / CHECKPOINTS).glob("*.ckpt")) else None


def _has_ended(path: Path) -> bool:
    """Whether a checkpoint was written at the end of a training; one that is damaged was not."""
    try:
        states = load_checkpoint(path)["callbacks"].values()
    except InputError:
        return False  # whoever resumes from it looks for another one
    return any(isinstance(state, dict) and state.get("ended_by") for state in states)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
