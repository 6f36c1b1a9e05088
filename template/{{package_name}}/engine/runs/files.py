"""Atomic writes: a file gets all of its new content, or none of it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = 0o666, on_disk: bool = False) -> Iterator[Path]:
    """Replace a file atomically: a reader sees the old content or the new, even after a kill.

    The block gets a new, empty file beside ``path`` and writes to it; when the block ends, that file is
    renamed to ``path``. After an exception it is removed, and ``path`` is left as it was.

    Args:
        path: The file to replace.
        mode: Its permissions, before the umask.
        on_disk: Wait until the content is on the disk, so that a power cut loses nothing, either.

    Raises:
        OSError: The folder cannot be written to, or the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch(mode)
        yield partial
        if on_disk:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename == str(partial):  # a name that no user knows
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write a text file atomically, in UTF-8; see ``replacing``."""
    with replacing(path, mode=mode) as partial:
        partial.write_text(text, encoding="utf-8")
