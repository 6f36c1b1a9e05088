"""A run's messages: plain lines in the terminal, everything in its log file."""

import contextlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import LIGHTNING, PACKAGE

HARMLESS = (
    ".*does not have many workers",  # whole batches are fetched at once
    ".*smaller than the logging interval",  # the rest is logged at the end of the epoch
    ".*LeafSpec.* is deprecated",  # between Lightning and torch
    ".*to ensure each sample/batch gets evaluated exactly once",  # each is: our sampler repeats none
    ".*Checkpoint directory .* exists and is not empty",  # of a resumed run
    "The .srun. command is available",  # on the login node of a cluster
)


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Print this package's log messages unadorned, and hide harmless warnings."""
    package = logging.getLogger(PACKAGE)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, propagate = package.level, package.propagate
    package.setLevel(logging.INFO)
    package.propagate = False
    package.addHandler(handler)
    try:
        with warnings.catch_warnings():
            for message in HARMLESS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        package.propagate = propagate


def quiet_lightning() -> None:
    """Print only Lightning's warnings; call this after Lightning was imported, which makes its handlers."""
    for console in (console for name in LIGHTNING for console in logging.getLogger(name).handlers):
        console.setLevel(logging.WARNING)


@contextlib.contextmanager
def logged_to(path: Path | None) -> Iterator[None]:
    """Copy log messages to a file, which the first message creates; ``None`` for no file.

    Python's warnings go there, too, and each goes to the terminal once.
    """
    if path is None:
        yield
        return
    terminal = logging.StreamHandler()
    terminal.setFormatter(_OneLine())
    terminal.addFilter(_is_new())
    handler = logging.FileHandler(path, delay=True, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in (PACKAGE, *LIGHTNING, "py.warnings")]
    for logger in loggers:
        logger.addHandler(handler)
    logging.getLogger("py.warnings").addHandler(terminal)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        logging.getLogger("py.warnings").removeHandler(terminal)
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


class _OneLine(logging.Formatter):
    """Formats a Python warning without its source line: what is wrong, then where."""

    def format(self, record: logging.LogRecord) -> str:
        text = re.sub(r"^(.+?):(\d+): (\w+): (.+)", _place_last, record.getMessage(), count=1)
        return text.partition("\n")[0]


def _place_last(found: re.Match[str]) -> str:
    return f"{found[3]}: {found[4]} ({Path(found[1]).name}, line {found[2]})"


def _is_new() -> Callable[[logging.LogRecord], bool]:
    """A filter that lets each message pass once."""
    seen = set[str]()

    def check(record: logging.LogRecord) -> bool:
        is_new = (text := record.getMessage()) not in seen
        seen.add(text)
        return is_new

    return check
