"""Checks a whole search before its first trial."""

import os
import re
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from ..cli.console import plain_output
from ..errors import InputError, input_error_in
from ..stages.asked import take_apart
from .plan import Plan
from .space import as_options
from .trial import find_logged_keys, make_parser
from .worker import processes

FOLDER = "sweeps"


def complete_plan(plan: Plan, num_workers: int) -> Plan:
    """Fill in what the configs of ``fit`` say, and check that ``fit`` takes each value of the space.

    Args:
        plan: A plan without a folder.
        num_workers: Number of workers that share the CPU cores.

    Raises:
        InputError: The name cannot be used, or an option does not exist or refuses a value of the space.
    """
    if not re.fullmatch(r"\w[\w.+=-]*", plan.name):
        raise InputError(
            f"expected a name of letters, digits and .+=-_, got {plan.name!r}; choose another --name"
        )
    given = {option.partition("=")[0].lstrip("-") for option in plan.fit}
    if twice := sorted(given & set(plan.space)):
        raise InputError(f"expected {twice[0]} in the space or on the command line, got it in both")
    config = _check_space(plan)
    root = Path(config.trainer.default_root_dir or "runs") / FOLDER / plan.name
    epochs, seed = config.trainer.max_epochs, config.seed_everything
    in_stages = take_apart(plan.fit).has_stages
    ends = epochs and epochs > 0 and not in_stages and "trainer.max_epochs" not in plan.space
    threads = max(1, (os.cpu_count() or 1) // num_workers)
    chosen = chosen_devices(config.trainer.devices)
    fit = plan.fit if config.num_threads else [*plan.fit, f"--num_threads={threads}"]
    return replace(
        plan,
        folder=str(root),
        fit=[*fit, f"--trainer.devices={len(chosen)}"] if chosen else fit,  # counted from 0 in a trial
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else 0,
        num_epochs=epochs if ends else None,
        num_devices=num_devices(config.trainer.devices),
        devices=chosen,
        in_stages=in_stages,
    )


def check_by_training(plan: Plan) -> None:
    """Train one step of the first point in a process of its own, and see that it logs the objectives.

    Raises:
        InputError: It does not log them, or cannot be trained.
    """
    ours, theirs = processes().Pipe()
    first = {key: entry.samples()[0] for key, entry in plan.entries.items()}
    process = processes().Process(target=_probe, args=([*plan.fit, *as_options(first)], theirs))
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        answer = "its process died"
    process.join()
    if isinstance(answer, str):
        raise InputError(f"expected a first trial that can be trained, got: {answer}")
    if missing := [metric for metric in plan.objectives if metric not in answer]:
        known = ", ".join(key for key in answer if key.startswith("val/")) or ", ".join(answer)
        raise InputError(f"metric: expected a logged key, got {missing[0]!r}; there are {known}")


def num_devices(devices: Any) -> int:
    """Number of devices that each trial uses by ``trainer.devices``; 1 if that is left open."""
    if chosen := chosen_devices(devices):
        return len(chosen)
    return max(1, int(devices)) if re.fullmatch(r"-?\d+", str(devices)) else 1


def chosen_devices(devices: Any) -> list[int]:
    """The devices that ``trainer.devices`` names, as ``[2, 3]`` or ``"2,3"``; empty if it is a number."""
    if isinstance(devices, str):
        devices = [int(place) for place in re.findall(r"\d+", devices)] if "," in devices else []
    return list(devices) if isinstance(devices, list) else []


def _check_space(plan: Plan) -> Namespace:
    """Parse each value of the space; return the config of the first point."""
    parse = make_parser()
    parse(plan.fit)
    first = {key: entry.samples()[0] for key, entry in plan.entries.items()}
    config = _parse_point(parse, plan, first, "")
    for key, entry in plan.entries.items():
        for value in entry.samples()[1:]:
            _parse_point(parse, plan, first | {key: value}, key)
    return config


def _parse_point(parse: Any, plan: Plan, point: dict[str, Any], key: str) -> Namespace:
    try:
        return parse([*plan.fit, *as_options(point)])
    except ValueError as error:
        raise InputError(f"space: {' '.join(f'{key} {input_error_in(error) or error}'.split())}") from error


def _probe(options: list[str], answer: Connection) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        with plain_output():
            answer.send(find_logged_keys(options))
    except (Exception, SystemExit) as error:  # whatever a model raises is shown to the user
        answer.send(" ".join(str(input_error_in(error) or error).split()) or type(error).__name__)
