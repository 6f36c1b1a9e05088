"""Tables in files, as data frames."""

import csv
import lzma
import re
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .split import SPLITS, split_named

if TYPE_CHECKING:  # the import takes half a second, so it is made only when a table is read
    from pandas import DataFrame

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".parquet", ".npz")  # the text ones also compressed, as .csv.gz
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
SEPARATORS = ",;\t|"
SPACE = r"\s+"
WHOLE_NUMBER = re.compile(r"-?\d+\.0+")  # as pandas writes an integer if other cells of its column are empty
DECIMAL_COMMA = r"[+-]?\d+,\d+"
UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def is_table(path: Path) -> bool:
    """Whether ``read_table`` knows the suffix."""
    return _suffix(path) in SUFFIXES


def read_table(
    path: Path, missing: Sequence[str] = (), texts: Sequence[str] = (), verbatim: Sequence[str] = ()
) -> "DataFrame":
    """The rows of a file, with columns by name.

    Args:
        path: A UTF-8 text file, Parquet or ``.npz``. In text, the separator is the one of ``, ; tab |`` that
            is most frequent in the first line; ``.txt`` and ``.dat`` without any have white space. A first
            line of numbers alone is not a header: columns are then named ``0``, ``1``, ... . Unless commas
            separate, ``1,5`` is a number. Lines before the first that are empty or begin with ``#`` are left
            out, and so is a first column without a name, which is pandas' index. In ``.npz``, an array
            ``(N,)`` is a column, and one ``(N, D)`` the columns ``name_0``, ``name_1``, ... .
        missing: Cells that mean no value in a text file, besides empty ones; ``NA``, ``NaN``, ``null`` and
            the like mean the same, unless the column is one of ``texts``.
        texts: Columns of a text file to read as words: ``01`` is not ``1``, and ``NA`` is a value.
        verbatim: The same, but no cell means no value: an empty one is an empty text.

    Returns:
        One row per example; the index counts from 0.

    Raises:
        InputError: There is no such file, it is empty, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        raise InputError(f"expected a table ({' '.join(SUFFIXES)}), got {path}")
    try:
        table = _READERS[suffix](path) if suffix in _READERS else _read_text(path, missing, texts, verbatim)
    except UnicodeError as error:
        raise InputError(f"expected UTF-8 text, got {path}: {error}; save it as UTF-8") from error
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"expected a table, got {path}: {reason}; repair the file") from error
    if not len(table):
        raise InputError(f"expected rows in {path}, got none")
    table.columns = [str(name).strip() for name in table.columns]
    _check_names(list(table.columns), path)
    return table.reset_index(drop=True)


def find_tables(folder: Path) -> dict[str, Path]:
    """The tables of a folder that are named after a split, such as ``train.csv`` and ``validation.csv``.

    Raises:
        InputError: ``folder`` does not exist, has no table for training, or has two tables of one split.
    """
    if not folder.is_dir():
        raise InputError(f"no such folder of tables: {folder}")
    found = tables_of_splits(folder)
    if "train" not in found:
        names = [path.name for path in sorted(folder.iterdir()) if path.is_file() and is_table(path)]
        got = ", ".join(names[:5]) or "no table"
        raise InputError(f"expected {folder}/train.csv or a file by its name, got {got}; name one as file")
    return found


def tables_of_splits(folder: Path) -> dict[str, Path]:
    """The tables of a folder that are named after a split, by split; empty if there are none.

    Raises:
        InputError: It has two tables of one split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = split_named(path.name.partition(".")[0])
        if not (split and path.is_file() and is_table(path)):
            continue
        if split in found:
            raise InputError(f"expected one table of {split}, got {found[split]} and {path}; remove one")
        found[split] = path
    return {split: found[split] for split in SPLITS if split in found}


def list_tables(path: Path) -> list[Path]:
    """``path`` itself if it is not a folder, else the tables below it, except hidden ones.

    Raises:
        InputError: The folder has no tables.
    """
    if not path.is_dir():
        return [path]
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and is_table(file))
    found = [file for file in files if not any(part[0] == "." for part in file.relative_to(path).parts)]
    if not found:
        raise InputError(f"expected tables ({' '.join(SUFFIXES)}) in {path}, got none")
    return found


def _suffix(path: Path) -> str:
    """The suffix in lower case, without that of a compression."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def _check_names(names: list[str], path: Path) -> None:
    if twice := [name for number, name in enumerate(names) if name in names[:number]]:
        raise InputError(f"expected columns of different names in {path}, got {twice[0]!r} twice; rename one")


def _read_text(
    path: Path, missing: Sequence[str], texts: Sequence[str], verbatim: Sequence[str]
) -> "DataFrame":
    import pandas as pd

    first, num_skipped = _first_line(path)
    separator = _separator(path, first)
    cells = first.split() if separator == SPACE else next(csv.reader([first], delimiter=separator))
    has_header = not _are_numbers(cells)
    if has_header:  # pandas would rename the second of two equal names
        _check_names([cell.strip() for cell in cells if cell.strip()], path)
    options: dict[str, Any] = {
        "sep": separator,
        "header": 0 if has_header else None,
        "skiprows": num_skipped,
        "na_values": list(missing),
        "skipinitialspace": True,
        "low_memory": False,  # else the type of a column is guessed block by block
        "index_col": False,  # else a separator at the end of each line would move all names by one
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, **options)
            if separator != "," and _has_decimal_commas(table):
                table = pd.read_csv(path, **options, decimal=",")
            for wanted, empty in ((texts, ["", *missing]), (verbatim, [])):
                if names := [name for name in table.columns if str(name).strip() in wanted]:
                    words = {"dtype": str, "na_values": empty, "keep_default_na": False, "index_col": None}
                    table[names] = pd.read_csv(path, **{**options, **words}, usecols=names)
    except pd.errors.ParserWarning as warning:
        raise ValueError(f"its rows have more cells than its first line, which has {len(cells)}") from warning
    return table.iloc[:, 1:] if has_header and not cells[0].strip() else table


def _first_line(path: Path) -> tuple[str, int]:
    """The first line that is neither empty nor a remark, and the number of lines before it."""
    import pandas as pd

    options: dict[str, Any] = {"sep": "\0", "header": None, "dtype": str, "quoting": csv.QUOTE_NONE}
    chunks: Any = pd.read_csv(path, chunksize=100, skip_blank_lines=False, **options)
    with chunks:
        for chunk in chunks:
            lines = chunk[0].fillna("")
            is_row = ~(lines.str.startswith("#") | (lines.str.strip() == ""))
            if is_row.any():
                number = int(is_row.idxmax())
                return str(lines[number]), number
    raise ValueError("it has no rows")


def _separator(path: Path, first: str) -> str:
    if _suffix(path) == ".tsv":
        return "\t"
    unquoted = "".join(first.split('"')[::2])
    separator = max(SEPARATORS, key=unquoted.count)
    if unquoted.count(separator):
        return separator
    return SPACE if _suffix(path) in (".txt", ".dat") else ","


def _are_numbers(cells: list[str]) -> bool:
    """Whether cells are numbers, apart from empty ones."""
    filled = [cell for cell in cells if cell.strip()]
    try:
        [float(cell) for cell in filled]
    except ValueError:
        return False
    return bool(filled)


def _has_decimal_commas(table: "DataFrame") -> bool:
    columns = (table[name].dropna() for name in table.columns if table[name].dtype.kind == "O")
    return any(len(column) and column.str.fullmatch(DECIMAL_COMMA).all() for column in columns)


def _read_parquet(path: Path) -> "DataFrame":
    import pandas as pd

    return pd.read_parquet(path)


def _read_npz(path: Path) -> "DataFrame":
    import pandas as pd

    columns: dict[str, np.ndarray] = {}
    with np.load(path) as file:
        for name in file.files:
            array = file[name]
            if array.ndim not in (1, 2):
                raise ValueError(f"array {name!r} is {array.shape}, not (N,) or (N, D)")
            columns |= {name: array} if array.ndim == 1 else _numbered(name, array)
    return pd.DataFrame(columns)


def _numbered(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{name}_{number}": column for number, column in enumerate(array.T)}


_READERS = {".parquet": _read_parquet, ".npz": _read_npz}
