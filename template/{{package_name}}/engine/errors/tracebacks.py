"""Unforeseen errors: described in one line with their place, their traceback kept in a file."""

import contextlib
import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

KEPT = "the traceback is in "
ENGINE = Path(__file__).parents[1]
LIBRARIES = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
# jsonargparse lists all that it tried; if a class refuses to be made, one of these finds the reason.
IS_LIST = re.compile(r"Not a valid subclass|Does not validate")
REFUSED = re.compile(r"Problem with given class_path '(.+?)':\s+(.+)")
REASON = re.compile(r"^ +- ()(?!Not a valid|Expected|a class path|a dict)(.+)$", re.MULTILINE)


def root_of(error: BaseException) -> BaseException:
    """The error that others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def describe_error(error: BaseException) -> str:
    """What went wrong and where, in the deepest file that is neither the engine's nor a library's.

    >>> describe_error(KeyError("x"))
    "KeyError: 'x'"
    """
    root = root_of(error)
    if isinstance(root, OSError) and root.strerror:
        text = root.strerror if root.filename is None else f"{root.strerror}: {os.fsdecode(root.filename)}"
    elif isinstance(root, ImportError):
        text = str(root)
    elif IS_LIST.match(str(root)) and (found := REFUSED.search(str(error)) or REASON.search(str(error))):
        text = f"{found[1]}: {found[2]}".removeprefix(": ")
    else:
        text = f"{type(root).__name__}: {root}".removesuffix(": ").removesuffix(".")
    places = [*_own_places(root), *_own_places(error)]
    return f"{text} ({places[0]})" if places and not isinstance(root, SyntaxError) else text


def keep_traceback(error: Exception, path: Path, mask: Callable[[str], str]) -> None:
    """Append the traceback of an error to a file, and add a note to the error: see ``kept_in``.

    Args:
        error: The error, which the caller raises again.
        path: The file; if it cannot be written, nothing is noted.
        mask: Hides secrets in the text.
    """
    text = mask("".join(traceback.format_exception(error)))
    with contextlib.suppress(OSError):
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        error.add_note(f"{KEPT}{os.path.relpath(path)}")


def kept_in(error: BaseException) -> str | None:
    """Where the traceback of an error was kept, as a clause; ``None`` if it was not."""
    return next((note for note in vars(error).get("__notes__", ()) if note.startswith(KEPT)), None)


def _own_places(error: BaseException) -> Iterator[str]:
    """File and line of each call, the innermost first."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = Path(frame.f_code.co_filename)
        is_own = path.is_file() and not any(map(path.is_relative_to, (ENGINE, *LIBRARIES)))
        if is_own:
            yield f"{path.name}, line {line}"
