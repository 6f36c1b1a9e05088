"""Ends a command with one line on standard error instead of a traceback."""

import re
import sys
from collections.abc import Callable

from . import input_error_in
from .shortage import shortage
from .tracebacks import describe_error, kept_in, root_of


def exit_status(command: Callable[[], int]) -> int:
    """Run ``command``.

    Returns:
        Its exit status; 2, after one line on standard error, if the input or the machine was at fault or a
        run's folder has the traceback; 130 after Ctrl-C.

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
    """Print ``message`` as one line on standard error, and return the exit status 2."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _sentence(error: Exception) -> str | None:
    if type(error).__name__ == "MisconfigurationException":  # Lightning's; not imported just for this
        monitor = re.search(r"monitor='(.+?)'\).*returned metrics: \[(.+?)\]", str(error))
        if monitor is None:
            return str(error)
        known = ", ".join(name for name in monitor[2].replace("'", "").split(", ") if "val/" in name)
        return f"expected checkpoint.monitor to be a logged number, got {monitor[1]!r}; there are {known}"
    if isinstance(error, ValueError) and (cause := input_error_in(error)):
        return str(cause)
    if isinstance(error, OSError | RuntimeError | MemoryError | ValueError) and (lack := shortage(error)):
        return lack
    if kept := kept_in(error):
        return f"{describe_error(error)}; {kept}"
    is_of_input = isinstance(root_of(error), OSError | ImportError | UnicodeError)
    return describe_error(error) if is_of_input else None
