"""The page of a run, or of several side by side, from the command line."""

import argparse
import os
import sys
import webbrowser
from pathlib import Path

from ..errors import InputError
from ..errors.arguments import ArgumentParser
from ..runs.folder import REPORT, find_run
from .page import write_report

MAX_RUNS = 12
MAX_NAME = 200  # characters; file systems allow 255 bytes


def run(args: list[str]) -> int:
    """Write a page and open it; see ``report --help``.

    Returns:
        Exit status.

    Raises:
        InputError: There is no such run, there are too many, or the page cannot be written.
    """
    options = _parse(args[1:])
    runs = list(dict.fromkeys(find_run(which, Path(options.runs)) for which in options.run))
    if len(runs) < len(options.run):
        raise InputError(f"expected different runs, got {' '.join(options.run)}; name each once")
    if len(runs) > MAX_RUNS:
        raise InputError(
            f"expected at most {MAX_RUNS} runs, got {len(runs)}; more have no colours of their own"
        )
    name = f"report-{'-'.join(run.name for run in runs)}"[:MAX_NAME]
    default = runs[0] / REPORT if len(runs) == 1 else runs[0].parent / f"{name}.html"
    to = Path(options.output or default)
    try:
        write_report(runs, to)
    except OSError as error:
        raise InputError(f"cannot write {to}: {error.strerror}; choose another --output") from error
    print(to)
    if not options.no_open and _has_display():
        webbrowser.open(to.resolve().as_uri())
    return 0


def _has_display() -> bool:
    """Whether there is a screen for a browser: without one, Python would start one inside the terminal."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _parse(args: list[str]) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="report",
        description="Write one self-contained page about a run, or about several side by side, and open it.",
    )
    parser.add_argument("run", nargs="+", help="latest, a run's name or its path")
    parser.add_argument("--output", help="the page (report.html in the run's folder, or next to the runs)")
    parser.add_argument("--no_open", action="store_true", help="only write the page")
    parser.add_argument("--runs", default="runs", help="folder of all runs (%(default)s)")
    return parser.parse_args(args)
