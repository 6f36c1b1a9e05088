"""Reads the files, folders and patterns that a command line names, as batches of examples."""

import glob
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..contracts import DataDescription, DataModule, Example, Names, OnError
from ..errors import InputError

log = logging.getLogger(__name__)
Batch = tuple[Names, Example]


def expand(words: Sequence[str]) -> list[Path]:
    """The paths that are named, or that match a pattern of ``*``, ``?``, ``[...]`` or ``**``, each once.

    Raises:
        InputError: A pattern matches nothing.
    """
    paths: dict[Path, None] = {}
    for word in words:
        found = [word]
        if glob.has_magic(word) and not Path(word).exists():
            found = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - it may begin at the root
            if not found:
                raise InputError(f"expected files that match {word!r}, got none; correct the pattern")
        paths |= dict.fromkeys(map(Path, found))
    return list(paths)


def read_all(
    data_class: type[DataModule],
    paths: Sequence[Path],
    data: DataDescription,
    *,
    batch_size: int,
    on_error: OnError,
    skipped: Path,
) -> Iterator[Batch]:
    """The examples of all paths in order, in batches of ``batch_size``; see ``DataModule.read``.

    Raises:
        InputError: A path cannot be read; with ``on_error="skip"``, none of them can.
    """
    waiting: list[Batch] = []
    for names, example in _read_each(data_class, paths, data, batch_size, on_error, skipped):
        num_waiting = sum(len(one) for _, one in waiting)
        if waiting and (num_waiting + len(example) > batch_size or example.shapes != waiting[0][1].shapes):
            yield _join(waiting)
            waiting = []
        waiting.append((names, example))
    if waiting:
        yield _join(waiting)


def _read_each(
    data_class: type[DataModule],
    paths: Sequence[Path],
    data: DataDescription,
    batch_size: int,
    on_error: OnError,
    skipped: Path,
) -> Iterator[Batch]:
    skipped.unlink(missing_ok=True)
    listed, first_error, has_some = b"", None, False
    for path in paths:
        try:
            for batch in data_class.read(
                path, data, batch_size=batch_size, on_error=on_error, skipped=skipped
            ):
                has_some = True
                yield batch
        except InputError as error:
            if on_error == "raise" or len(paths) == 1:
                raise
            log.warning(f"skipped {path}: {error}")
            first_error = first_error or error
            listed += f"{path}\n".encode(errors="surrogateescape")
        if skipped.is_file():  # written for this path; the next one overwrites it
            listed += skipped.read_bytes()
            skipped.unlink()
    if not has_some and first_error is not None:
        raise first_error
    if listed:
        skipped.write_bytes(listed)


def _join(batches: Sequence[Batch]) -> Batch:
    names, examples = zip(*batches, strict=True)
    joined = examples[0] if len(examples) == 1 else type(examples[0]).cat(examples)
    if isinstance(names[0], dict):
        return {key: [value for batch in names for value in batch[key]] for key in names[0]}, joined
    return [name for batch in names for name in batch], joined
