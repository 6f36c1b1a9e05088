"""The command line of searches: start or continue one, show its state, print its best trial."""

import argparse
import contextlib
import json
from pathlib import Path

from ..errors import InputError
from ..errors.arguments import ArgumentParser
from .coordinator import run_study
from .page import write_page
from .plan import STUDY, Plan, load_plan, read_config
from .prepare import complete_plan
from .results import BEST, describe_best, read_rows, repeat, write_best, write_table
from .space import grid
from .study import Study
from .table import lines


def search(args: list[str]) -> int:
    """Run ``sweep``, ``sweep status`` or ``sweep best``.

    Returns:
        Exit status.

    Raises:
        InputError: Something given cannot be used.
    """
    if args[:1] == ["status"]:
        return _status(args[1:])
    if args[:1] == ["best"]:
        return _best(args[1:])
    return _search(args)


def find_study(which: str, runs: Path) -> Path:
    """The folder of a study.

    Args:
        which: ``latest``, a study's name or its path.
        runs: Folder of all runs.

    Raises:
        InputError: There is no such study.
    """
    for folder in (Path(which), runs / "sweeps" / which):
        if (folder / STUDY).is_file():
            return folder
    studies = sorted(runs.glob(f"sweeps/*/{STUDY}"), key=lambda path: path.stat().st_mtime)
    if which != "latest" or not studies:
        known = ", ".join(path.parent.name for path in studies) or "none"
        raise InputError(f"expected a study in {runs / 'sweeps'}, got {which!r}; studies there: {known}")
    return studies[-1].parent


def _search(args: list[str]) -> int:
    parser = ArgumentParser(
        prog="sweep",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run or continue a search, here or on any machine with the same storage.\n"
        "Further options are those of fit: they hold for all trials.",
        epilog="sweep status --help: the table of a study;  sweep best --help: its best trial",
    )
    parser.add_argument(
        "--config", action="append", required=True, help="config of the search; any others are configs of fit"
    )
    parser.add_argument("--workers", type=int, default=1, help="trials at a time (%(default)s)")
    parser.add_argument("--trials", type=int, help="number of trials, in place of the config's")
    parser.add_argument("--name", help="name of the study (the config's name)")
    parser.add_argument(
        "--dry_run", action="store_true", help="print the points of a grid, one dict per line"
    )
    options, overrides = parser.parse_known_args(args)
    if options.workers < 1:
        raise InputError(f"expected at least one worker, got {options.workers}; set --workers")
    config = Path(options.config[0])
    arguments, base = read_config(config, options.trials)
    configs = [f"--config={path}" for path in (*base, *options.config[1:])]
    plan = complete_plan(
        Plan(name=options.name or config.stem, folder="", fit=[*configs, *overrides], **arguments),
        num_workers=options.workers,
    )
    if options.dry_run:
        if plan.sampler != "grid":
            raise InputError(
                f"expected sampler: grid for --dry_run, got {plan.sampler}; its points are drawn later"
            )
        print(*map(json.dumps, grid(plan.space)), sep="\n")
        return 0
    return run_study(plan, options.workers)


def _status(args: list[str]) -> int:
    parser = ArgumentParser(
        prog="sweep status", description="Print the table of a study, and write its page."
    )
    with contextlib.closing(_open(parser, args)[0]) as study:
        rows, best = read_rows(study), write_best(study)
        write_table(study, rows)
        page = write_page(study, rows, best)
    print(*lines(study.plan, rows), *describe_best(study, best), f"page: {page}", sep="\n")
    return 0


def _best(args: list[str]) -> int:
    parser = ArgumentParser(prog="sweep best", description="Print the best trial of a study.")
    parser.add_argument("--print_config", action="store_true", help="print its config, for fit --config")
    study, options = _open(parser, args)
    with contextlib.closing(study):
        best = write_best(study)
    if not best:
        raise InputError(f"expected a complete trial in study {study.plan.name}, got none yet")
    path = study.plan.root / BEST
    if options.print_config and study.plan.in_stages:
        raise InputError(f"expected a study without stages for --print_config; {repeat(study, best[0])}")
    if options.print_config and not path.is_file():
        raise InputError(f"expected the run folder {best[0].run}, got none; it is on {best[0].host}")
    print(path.read_text(encoding="utf-8") if options.print_config else "\n".join(describe_best(study, best)))
    return 0


def _open(parser: ArgumentParser, args: list[str]) -> tuple[Study, argparse.Namespace]:
    parser.add_argument("study", nargs="?", default="latest", help="latest, a study's name or its path")
    parser.add_argument("--runs", default="runs", help="folder of all runs (%(default)s)")
    options = parser.parse_args(args)
    return Study(load_plan(find_study(options.study, Path(options.runs)))), options
