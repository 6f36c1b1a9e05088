"""What ends a command in one line on standard error instead of a traceback."""

import re
import sys
from collections.abc import Callable

from . import input_error_in
from .shortage import shortage


def exit_status(command: Callable[[], int]) -> int:
    """Run ``command``.

    Returns:
        Its exit status; 2 if the input or the machine was at fault, which one line says; 130 after Ctrl-C.

    Raises:
        Exception: Any other error, which is a defect.
    """
    try:
        return command()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if (sentence := _sentence(error)) is None:
            raise
        return fail(sentence)


def fail(message: str) -> int:
    """Print ``message`` as one line of standard error; the exit status 2."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _sentence(error: Exception) -> str | None:
    if type(error).__name__ == "MisconfigurationException":  # of Lightning, which is not imported to learn it
        monitor = re.search(r"monitor='(.+?)'\).*returned metrics: \[(.+?)\]", str(error))
        if monitor is None:
            return str(error)
        known = ", ".join(name for name in monitor[2].replace("'", "").split(", ") if "val/" in name)
        return f"expected checkpoint.monitor to be a logged number, got {monitor[1]!r}; there are {known}"
    if isinstance(error, ValueError):
        cause = input_error_in(error)
        return None if cause is None else str(cause)
    return shortage(error) if isinstance(error, OSError | RuntimeError | MemoryError) else None
