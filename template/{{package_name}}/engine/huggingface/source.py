"""A set on disk or on the hub, by its splits."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..data.split import split_named
from ..errors import InputError

# The reader of each kind of file.
READERS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
}
SAVED = ("dataset_dict.json", "state.json")  # what ``save_to_disk`` writes beside the rows
WORDS = {"keep_default_na": False, "na_values": [""]}  # so that ``NA`` and ``null`` in CSV stay words
NUM_NAMED = 8
log = logging.getLogger(__name__)


def open_splits(
    path: str, *, name: str | None = None, revision: str | None = None, streaming: bool = False
) -> dict[str, Any]:
    """The sets ``train``, ``val`` and ``test``, those that are there, by these names.

    Rows stay on the disk, in memory-mapped files of Arrow; text files are converted to such files once.

    Args:
        path: Folder of ``save_to_disk``; a file of Parquet, CSV, JSON (also a line for each row) or Arrow; a
            folder with such files, named for their splits in any usual spelling; else a name on the hub.
        name: Which of several sets under one name on the hub.
        revision: Branch, tag or commit on the hub; with a commit, the data of a run stays the same.
        streaming: Read rows one after the other, each only when it is needed.

    Raises:
        InputError: ``datasets`` is not installed, or there is no such set, or it cannot be read or reached.
    """
    if find_spec("datasets") is None:
        raise InputError(
            "expected the package datasets installed; add huggingface to the options of the template (make "
            "update), or: uv pip install datasets"
        )
    with _in_one_line(path), _quiet():
        found = _open(Path(path), name, revision, streaming)
    by_split = {split_named(str(split)): dataset for split, dataset in found.items()}
    if "train" not in by_split and len(found) == 1:
        by_split = {"train": next(iter(found.values()))}
    if "train" not in by_split:
        raise InputError(f"expected a split for training in {path}, got {', '.join(map(str, found))}")
    return {split: dataset for split, dataset in by_split.items() if split}


def _open(path: Path, name: str | None, revision: str | None, streaming: bool) -> dict[Any, Any]:
    import datasets

    if path.is_dir() and any((path / saved).is_file() for saved in SAVED):
        saved = datasets.load_from_disk(str(path))
        found: dict[Any, Any] = dict(saved) if isinstance(saved, datasets.DatasetDict) else {"train": saved}
        return {split: one.to_iterable_dataset() for split, one in found.items()} if streaming else found
    if path.exists():
        files = _files(path)
        kinds = {READERS[file.suffix.lower()] for group in files.values() for file in group}
        if len(kinds) != 1:
            raise InputError(f"expected files of one kind in {path}, got {', '.join(sorted(kinds))}")
        named = {split: [str(file) for file in group] for split, group in files.items()}
        kind = kinds.pop()
        options = WORDS if kind == "csv" else {}
        return dict(datasets.load_dataset(kind, data_files=named, streaming=streaming, **options))
    return dict(datasets.load_dataset(str(path), name, revision=revision, streaming=streaming))


def _files(path: Path) -> dict[str, list[Path]]:
    """The files of each split; files that are not named for one are ``train``."""
    paths = [path] if path.is_file() else sorted(path.rglob("*"))
    files = [file for file in paths if file.suffix.lower() in READERS and not file.name.startswith(".")]
    if not files:
        got = ", ".join(entry.name for entry in sorted(path.iterdir())[:NUM_NAMED]) if path.is_dir() else path
        raise InputError(f"expected a file of {' '.join(READERS)} in {path}, got {got or 'none'}")
    named: dict[str, list[Path]] = {}
    for file in files:
        words = [
            file.name.partition(".")[0].partition("-")[0],
            file.parent.name,
        ]  # train-00000-of-00002.parquet
        split = next(filter(None, map(split_named, words)), None) if len(files) > 1 else "train"
        named.setdefault(split or "train", []).append(file)
    return named


@contextmanager
def _in_one_line(path: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each reader has its own errors, and so has the hub
        reason = " ".join(str(error.__cause__ or error).split()) or type(error).__name__
        if isinstance(error, ConnectionError) or "Hub" in reason:
            where = "no folder or file of this name, and the hub does not have it or cannot be reached"
            raise InputError(
                f"expected a set of Hugging Face at {path!r}, got {where}; correct data.init_args.path"
            ) from error
        raise InputError(f"cannot read {path}: {reason[:300]}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide progress bars, and the warnings of the hub and of ``datasets``."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if shown and not os.environ.get("HF_DATASETS_DISABLE_PROGRESS_BARS"):
            datasets.enable_progress_bars()
