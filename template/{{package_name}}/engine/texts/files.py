"""Texts in files: columns of a table, a file for each text, a line for each text."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from ..contracts import OnError
from ..data.split import split_named
from ..data.tables import is_table, read_table, tables_of_splits
from ..errors import InputError
from ..images.image_files import warn_skipped

SUFFIX = ".txt"
NUM_NAMED = 8
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """Texts, with the label and the split of each.

    Attributes:
        texts: ``N`` texts, none empty.
        labels: The name of each one's class.
        splits: ``train``, ``val`` or ``test`` for each; ``None`` if the files do not say.
    """

    texts: list[str]
    labels: list[str]
    splits: list[str] | None

    @property
    def class_names(self) -> list[str]:
        """All labels: numbers in their order, before all others in alphabetical order."""
        return sorted(set(self.labels), key=_as_number)


def read_corpus(path: Path, text: str, label: str, split: str | None = None) -> Corpus:
    """All labelled texts of a file or folder.

    Args:
        path: A table; or a folder with one for each split (``train.csv``, ``test.csv``), or with a folder of
            ``.txt`` files for each class, itself below ``train/``, ``val/`` and ``test/`` or not. The usual
            spellings of these three are known.
        text: Column of the texts.
        label: Column of the labels.
        split: Column of ``train``, ``val`` or ``test``; ``None`` for a column ``split``, if there is one.

    Raises:
        InputError: There is no such file or column, a label or split is missing, or no text is left.
    """
    if path.is_dir():
        tables = tables_of_splits(path)
        found = _of_tables(tables, text, label) if "train" in tables else _of_folders(path)
    else:
        found = _of_table(path, text, label, split)
    names, texts, labels, splits = found
    if absent := [name for name, value in zip(names, labels, strict=True) if not value]:
        raise InputError(f"expected a label for each text, got none in {absent[0]}; add it or remove the row")
    kept = [row for row, value in enumerate(texts) if value.strip()]
    if len(kept) < len(texts):
        empty = next(name for name, value in zip(names, texts, strict=True) if not value.strip())
        _warn(f"left out {len(texts) - len(kept)} of {len(texts)} texts that are empty, such as {empty}")
    corpus = Corpus(
        [texts[row] for row in kept], [labels[row] for row in kept], splits and [splits[row] for row in kept]
    )
    if len(corpus.class_names) < 2:
        raise InputError(f"expected texts of 2 or more classes in {path}, got {corpus.class_names}")
    return corpus


Rows = tuple[list[str], list[str], list[str], list[str] | None]  # names, texts, labels, splits


def _of_table(path: Path, text: str, label: str, split: str | None) -> Rows:
    table = _columns(path, [text, label], [split or "split"])
    given = table.get(split or "split")
    names = _lines(path, len(table[text]))
    if split and given is None:
        raise InputError(f"expected a column {split!r} in {path}, got none; correct the name")
    return names, table[text], table[label], given and _check_splits(given, names)


def _of_tables(tables: dict[str, Path], text: str, label: str) -> Rows:
    names, texts, labels, splits = [], [], [], []
    for split, path in tables.items():
        table = _columns(path, [text, label])
        names += _lines(path, len(table[text]))
        texts += table[text]
        labels += table[label]
        splits += [split] * len(table[text])
    return names, texts, labels, splits


def _of_folders(path: Path) -> Rows:
    """A folder for each class, below folders that are named for splits, or not."""
    named = {folder: split_named(folder.name) for folder in _folders(path)}
    roots: dict[Path, str | None] = {folder: split for folder, split in named.items() if split}
    if "train" not in named.values():
        roots = {path: None}
    names, texts, labels, splits = [], [], [], []
    for root, split in roots.items():
        for folder in _folders(root):
            files = _text_files(folder)
            names += map(str, files)
            texts += map(_read, files)
            labels += [folder.name] * len(files)
            splits += [split] * len(files)
    if not texts:
        got = ", ".join(entry.name for entry in sorted(path.iterdir())[:NUM_NAMED]) or "an empty folder"
        raise InputError(
            f"expected {path}/train.csv, {path}/train/<class>/*.txt or {path}/<class>/*.txt, got {got}"
        )
    return names, texts, labels, None if None in splits else splits


def _columns(path: Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> dict[str, list[str]]:
    """Columns of a table as texts; an empty text where a value is missing.

    Raises:
        InputError: A wanted column is missing.
    """
    table = read_table(path, verbatim=[*wanted, *optional])
    for name in wanted:
        if name not in table.columns:
            got = ", ".join(map(repr, table.columns[:NUM_NAMED]))
            raise InputError(f"expected a column {name!r} in {path}, got {got}; name the right one")
    names = [name for name in [*wanted, *optional] if name in table.columns]
    return {
        name: [
            str(cell) if is_there else ""
            for cell, is_there in zip(table[name], table[name].notna(), strict=True)
        ]
        for name in names
    }


def _check_splits(given: Sequence[str], names: Sequence[str]) -> list[str]:
    """``train``, ``val`` or ``test`` for each row.

    Raises:
        InputError: A row has another word.
    """
    known = {word: split_named(word) for word in set(given)}
    if unknown := [place for place, word in zip(names, given, strict=True) if not known[word]]:
        word = given[names.index(unknown[0])]
        raise InputError(f"expected train, val or test as split, got {word!r} in {unknown[0]}; correct it")
    if others := sorted(f"{word} is {split}" for word, split in known.items() if word != split):
        _say(f"splits: {', '.join(others)}")
    return [str(known[word]) for word in given]


def _lines(path: Path, size: int) -> list[str]:
    """A name for each row: its line in the file, if no text has several lines."""
    return [f"{path}:{row}" for row in range(2, size + 2)]


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _text_files(folder: Path) -> list[Path]:
    files = sorted(folder.rglob(f"*{SUFFIX}"))
    return [
        path
        for path in files
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _read(path: Path) -> str:
    """The content of a file.

    Raises:
        InputError: It is not UTF-8 text, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"{error.reason} (byte {error.start}); save it as UTF-8"
        raise InputError(f"expected UTF-8 text in {path}, got {got}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def read_batches(
    path: Path, text: str, *, batch_size: int, on_error: OnError, skipped: Path
) -> Iterator[tuple[list[str], list[str]]]:
    """The texts of a file or folder, for ``predict``.

    Args:
        path: A ``.txt`` file with a text on each line, lines of white space left out; a table; or a folder
            whose ``.txt`` files, also those of its subfolders, are a text each.
        text: Column of the texts in a table.
        batch_size: Texts at a time.
        on_error: ``skip`` leaves out files of a folder that cannot be read.
        skipped: File to list what was left out.

    Yields:
        Names, such as ``texts.csv:17`` for a line, and texts.

    Raises:
        InputError: There are no texts, or they cannot be read.
    """
    if path.is_dir():
        names, texts = _read_folder(path, on_error, skipped)
    elif path.suffix.lower() == SUFFIX or not path.exists() or not is_table(path):
        if not path.is_file():
            raise InputError(f"no such file: {path}")
        lines = enumerate(_read(path).splitlines(), 1)
        filled = [(f"{path}:{number}", line) for number, line in lines if line.strip()]
        names, texts = [name for name, _ in filled], [line for _, line in filled]
    else:
        texts = _columns(path, [text])[text]
        names = _lines(path, len(texts))
    if not texts:
        raise InputError(f"expected texts in {path}, got none")
    for start in range(0, len(texts), batch_size):
        yield names[start : start + batch_size], texts[start : start + batch_size]


def _read_folder(path: Path, on_error: OnError, skipped: Path) -> tuple[list[str], list[str]]:
    names, texts, unreadable = [], [], []
    for file in (files := _text_files(path)):
        try:
            texts.append(_read(file))
            names.append(str(file))
        except InputError:
            if on_error == "raise":
                raise
            unreadable.append(file)
    warn_skipped(unreadable, len(files), skipped, "texts")
    return names, texts


def _as_number(label: str) -> tuple[float, str]:
    """A key that sorts ``2``, ``10`` and ``5+`` by their numbers, before all words."""
    digits = label.rstrip("+")
    return (float(digits), label) if digits.isdecimal() else (float("inf"), label)


_say = rank_zero_only(log.info)
_warn = rank_zero_only(log.warning)
