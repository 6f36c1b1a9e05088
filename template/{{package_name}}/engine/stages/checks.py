"""Checks of stages, before the first begins."""

import gc
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import torch
from jsonargparse import Namespace

from ..cli.lightning import make_parsers
from ..config.linking import Linker
from ..errors import InputError, input_error_in
from ..errors.tracebacks import describe_error
from .plan import Plan, Stage, arguments
from .stage import Trial, in_stage


def make_linker() -> Linker:
    """A parser of the options of ``fit``."""
    return Linker(make_parsers()["fit"])


def parse_stages(plan: Plan, linkers: defaultdict[int, Linker]) -> list[Namespace]:
    """The config of each stage.

    Args:
        plan: The plan of a run.
        linkers: By the number of the stage; they can be used again for another plan.

    Raises:
        InputError: An option does not exist, or cannot have its value.
    """
    configs = []
    with tempfile.TemporaryDirectory() as files:
        for stage in plan.read():
            with in_stage(stage.name):
                args = arguments(plan, stage, [], Path(files))
                configs.append(linkers[stage.number].parse(args[1:]))
    return configs


def try_stages(
    plan: Plan, stages: list[Stage], more: list[str] | None = None, allow: Iterable[str] = ()
) -> list[str]:
    """Train and validate on one batch in each stage.

    Args:
        plan: The plan of a run.
        stages: Those to try.
        more: Options after those of each stage.
        allow: See ``CLI``.

    Returns:
        The keys that the last of them logged, sorted.

    Raises:
        InputError: A stage cannot be trained.
    """
    logged: list[str] = []
    for stage in stages:
        with in_stage(stage.name):
            try:
                logged = sorted(Trial(plan, stage.number, more or [], allow=allow).trainer.callback_metrics)
            except Exception as error:  # a model may raise anything
                raise InputError(str(input_error_in(error) or describe_error(error))) from error
        free_memory()
    return logged


def free_memory() -> None:
    """Free the memory that a stage leaves behind when it has ended."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
