"""What a run says: plain lines on the terminal, everything in its log file."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from .. import LIGHTNING, PACKAGE

HARMLESS = (
    ".*does not have many workers",  # whole batches are fetched at once
    ".*smaller than the logging interval",  # the rest is logged at the end of the epoch
    ".*LeafSpec.* is deprecated",  # between Lightning and torch
    ".*to ensure each sample/batch gets evaluated exactly once",  # it does: nothing is repeated to fill up
    ".*Checkpoint directory .* exists and is not empty",  # of a resumed run
    "The .srun. command is available",  # on the login node of a cluster
)


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Print what this package logs as it is, without harmless warnings."""
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
    """Print of Lightning only warnings; it makes its handlers when it is imported."""
    for console in (console for name in LIGHTNING for console in logging.getLogger(name).handlers):
        console.setLevel(logging.WARNING)


@contextlib.contextmanager
def logged_to(path: Path | None) -> Iterator[None]:
    """Copy what is logged to a file, which the first line makes; to none for ``None``."""
    if path is None:
        yield
        return
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in (PACKAGE, *LIGHTNING, "py.warnings")]
    for logger in loggers:
        logger.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
