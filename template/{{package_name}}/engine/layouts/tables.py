"""Labels in a table of files: one for each image, or several."""

import ast
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..data.split import OF_IMAGES
from ..data.tables import WHOLE_NUMBER, read_table
from ..errors import InputError
from ..images.decoding import WHOLE, Listing
from ..images.finding import few, walk
from .base import Layout

if TYPE_CHECKING:
    from pandas import DataFrame

FILES = (
    "file",
    "file_name",
    "filename",
    "path",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "image_id",
    "id",
)
LABELS = ("label", "labels", "target", "targets", "class", "class_name", "category", "tag", "tags", "y")
SPLITS = ("split", "subset", "set", "partition", "fold")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table mean what.

    Attributes:
        file: Column of files: relative to the data or the table, or names only, also without suffix.
        label: One column of labels, or several of 0 and 1 whose names are the labels.
        split: Column of train, val and test in their usual spellings; without it the data has no splits.
        separator: What separates several labels in one cell.
    """

    file: str | None = None
    label: str | list[str] | None = None
    split: str | None = None
    separator: str | None = None


class LabelTable(Layout):
    """Files and labels from a table. Columns that are not named are found by their usual names, and logged.

    With one label for each image, targets are ``(N,)`` int64. With several, by a separator, columns of 0 and
    1, or lists, they are ``(N, K)`` float32; an empty cell is an image without labels.

    Args:
        where: File of the table, with a row for each image.
        root: Folder of the data.
        columns: What each column means.

    Raises:
        InputError: The table cannot be read, a column is missing, a label or split cannot be understood, or
            there are fewer than two.
    """

    def __init__(self, where: Path, root: Path, columns: Columns) -> None:
        self.where, self.root = where, root
        table = read_table(where)
        file, labels, split = _find_columns(list(map(str, table.columns)), columns, where)
        if len(labels) == 1:
            table = read_table(where, texts=[file, *labels])
        self._files = [str(cell) for cell in table[file].tolist()]
        self.class_names, self._targets = read_labels(table.loc[:, labels], columns.separator, where)
        self.is_multilabel = self._targets.ndim == 2
        self._split = read_splits(table[split].tolist(), where) if split else [WHOLE] * len(table)
        self.splits = [name for name in (*OF_IMAGES, WHOLE) if name in set(self._split)]
        if split and "train" not in self.splits:
            raise InputError(f"expected rows of train in column {split!r} of {where}, got {self.splits}")
        self._index: dict[str, Path | None] = {}

    def read(self, split: str) -> Listing:
        rows = [row for row, name in enumerate(self._split) if name == split]
        paths = self._find([self._files[row] for row in rows])
        return Listing(name=split, where=self.where, targets=self._targets[rows], paths=paths)

    def _find(self, cells: Sequence[str]) -> list[Path]:
        """A path for each cell; of one whose file is not found, the path where it should be.

        Raises:
            InputError: Several files have the name in a cell.
        """
        if not self._index:
            # One walk, instead of a look at the disk for each row.
            for path in walk(self.root):
                relative = path.relative_to(self.root)
                for key in {relative.as_posix(), path.name, path.stem, _as_number(path.stem)}:
                    is_whole = key == relative.as_posix()
                    self._index[key] = path if is_whole or key not in self._index else None
        found = []
        for cell in cells:
            beside = (self.where.parent / cell).absolute()
            key = Path(cell).as_posix()
            if key not in self._index and beside.is_relative_to(self.root.absolute()):
                key = beside.relative_to(self.root.absolute()).as_posix()
            path = self._index.get(key, self.root / cell)
            if path is None:
                raise InputError(
                    f"expected one file {cell!r} below {self.root}, got several; write their folders into "
                    f"{self.where}"
                )
            found.append(path)
        return found


def _as_number(stem: str) -> str:
    """A name of digits as a table has it that reads it as a number: ``0012`` is ``12``."""
    return str(int(stem)) if stem.isascii() and stem.isdigit() else stem


def _usual(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """The first of the ``usual`` names that is there, in any case."""
    by_name = {name.lower().replace(" ", "_"): name for name in reversed(names)}
    return next((by_name[name] for name in usual if name in by_name), None)


def _find_columns(names: Sequence[str], columns: Columns, where: Path) -> tuple[str, list[str], str | None]:
    """Columns of files, of labels and of splits (which may be missing), logged in one line.

    Raises:
        InputError: A column of files or labels, or a column that was named, is missing.
    """
    split = columns.split or _usual(names, SPLITS)
    file = columns.file or _usual(names, FILES)
    rest = [name for name in names if name not in (file, split)]
    usual = _usual(rest, LABELS)
    labels = columns.label or ([usual] if usual else rest)
    labels = [labels] if isinstance(labels, str) else labels
    missing = [name for name in (file, *labels, split or file) if name not in names]
    if missing or not labels:
        raise InputError(
            f"expected columns of files and labels in {where}, got {few(names)}"
            f"{f', without {missing[0]!r}' if missing and missing[0] else ''}; name them by file_column and "
            "label_columns"
        )
    found = labels[0] if len(labels) == 1 else f"{labels[0]} ... {labels[-1]}"
    _say(f"{where}: files in column {file!r}, labels in {found!r}{f', splits in {split!r}' if split else ''}")
    return str(file), labels, split


_say = rank_zero_only(log.info)
_warn = rank_zero_only(log.warning)


def read_splits(cells: Sequence[Any], where: Path) -> list[str]:
    """``train``, ``val`` or ``test`` for each row.

    Raises:
        InputError: A cell is none of them, in any of their usual spellings.
    """
    by_spelling = {spelling: split for split, found in OF_IMAGES.items() for spelling in found}
    splits = [by_spelling.get(str(cell).strip().lower()) for cell in cells]
    if None in splits:
        raise InputError(
            f"expected train, val or test as splits in {where}, got {cells[splits.index(None)]!r}; "
            "name another column by split_column"
        )
    return [split for split in splits if split]


def read_labels(labels: "DataFrame", separator: str | None, where: Path) -> tuple[list[str], Tensor]:
    """Names by index, and targets: ``(N,)`` int64 classes, or ``(N, K)`` float32 rows of several labels.

    Raises:
        InputError: A label is missing or cannot be understood, or there are fewer than two.
    """
    names = [str(name) for name in labels.columns]
    if len(names) > 1:
        return names, torch.tensor([_read_flags(labels[name].tolist(), name, where) for name in names]).T
    cells = labels.iloc[:, 0].tolist()
    if separator or any(_is_list(cell) for cell in cells):
        return _several([_split_cell(cell, separator) for cell in cells], where)
    if missing := [row for row, cell in enumerate(cells, start=1) if _is_empty(cell)]:
        raise InputError(f"expected a label in each row of {where}, got none in row {missing[0]}")
    texts = [_as_text(cell) for cell in cells]
    for mark in ("|", ";"):
        if any(mark in text for text in texts):
            _warn(f"{where}: a label with {mark!r} is one class; give separator={mark!r} for several labels")
    classes = sorted(set(texts), key=_order)
    if len(classes) < 2:
        raise InputError(f"expected 2 or more classes in {where}, got {classes}")
    number = {name: index for index, name in enumerate(classes)}
    return classes, torch.tensor([number[text] for text in texts])


def _read_flags(cells: Sequence[Any], name: str, where: Path) -> list[float]:
    if wrong := [cell for cell in cells if cell not in (0, 1)]:
        raise InputError(
            f"expected 0 or 1 in column {name!r} of {where}, got {wrong[0]!r}; name the columns of labels by "
            "label_columns"
        )
    return [float(cell) for cell in cells]


def _several(rows: Sequence[Sequence[str]], where: Path) -> tuple[list[str], Tensor]:
    names = sorted({label for row in rows for label in row}, key=_order)
    if len(names) < 2:
        raise InputError(f"expected 2 or more labels in {where}, got {names}")
    number, targets = {name: index for index, name in enumerate(names)}, torch.zeros(len(rows), len(names))
    places = [(row, number[label]) for row, found in enumerate(rows) for label in found]
    targets[tuple(torch.tensor(places).T)] = 1
    return names, targets


def _is_list(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.startswith("[") and cell.endswith("]")
    return not isinstance(cell, bytes) and hasattr(cell, "__len__")


def _split_cell(cell: Any, separator: str | None) -> list[str]:
    """The labels in a cell; none if it is empty."""
    if isinstance(cell, str) and _is_list(cell):
        try:
            cell = ast.literal_eval(cell)
        except (ValueError, SyntaxError):  # names without quotes
            cell = cell[1:-1].split(",")
    if _is_list(cell):
        labels = [_as_text(label) for label in cell]
    elif _is_empty(cell):
        labels = []
    else:
        labels = _as_text(cell).split(separator)
    return [label.strip() for label in labels if label.strip()]


def _is_empty(cell: Any) -> bool:
    return cell is None or cell != cell  # pandas makes NaN of an empty cell


def _as_text(cell: Any) -> str:
    """A class as a name; whole numbers that a missing value has made floats, without the point."""
    text = str(cell)
    return text.partition(".")[0] if WHOLE_NUMBER.fullmatch(text) else text


def _order(name: str) -> tuple[bool, float, str]:
    """Numbers by their size, before all other names."""
    is_number = name.removeprefix("-").isdecimal()
    return not is_number, float(name) if is_number else 0.0, name
