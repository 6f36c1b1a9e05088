"""Tables in files, as data frames."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:  # it takes half a second to import, which only who reads tables waits for
    from pandas import DataFrame

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".parquet", ".npz")  # the text ones also compressed, as .csv.gz
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
SEPARATORS = ",;\t|"


def is_table(path: Path) -> bool:
    """Whether ``read_table`` knows the suffix."""
    return _suffix(path) in SUFFIXES


def read_table(path: Path, verbatim: Sequence[str] = ()) -> "DataFrame":
    """The rows of a file, with columns by name.

    Args:
        path: CSV, TSV or columns of text; of CSV the separator is that of ``, ; tab |`` which the first line
            has most often, of ``.txt`` and ``.dat`` white space where there is none. A first line of numbers
            alone is no header: columns are then called ``0``, ``1``, ... . Parquet; or ``.npz``, whose arrays
            ``(N,)`` are columns, and of those ``(N, D)`` each column ``name_0``, ``name_1``, ... .
        verbatim: Columns of a text file whose cells are read as they stand: ``01`` is not ``1``, ``null`` is
            a word, and an empty cell an empty text.

    Returns:
        A row for each example; the index counts from 0.

    Raises:
        InputError: There is no such file, it is empty, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        raise InputError(f"expected a table ({' '.join(SUFFIXES)}), got {path}")
    try:
        table = _READERS[suffix](path) if suffix in _READERS else _read_text(path, verbatim)
    except (OSError, ValueError, UnicodeError, zipfile.BadZipFile, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"expected a table, got {path}: {reason}; repair the file") from error
    if not len(table):
        raise InputError(f"expected rows in {path}, got none")
    table.columns = [str(name).strip() for name in table.columns]
    if len(twice := table.columns[table.columns.duplicated()]):
        raise InputError(f"expected columns of different names in {path}, got {twice[0]!r} twice; rename one")
    return table.reset_index(drop=True)


def _suffix(path: Path) -> str:
    """In lower case, that below a compression."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def _read_text(path: Path, verbatim: Sequence[str]) -> "DataFrame":
    import pandas as pd

    head = pd.read_csv(path, sep="\0", header=None, nrows=1, dtype=str, engine="c", encoding="utf-8-sig")
    first = str(head.iloc[0, 0])
    if _suffix(path) == ".tsv":
        separator = "\t"
    else:
        separator = max(SEPARATORS, key=first.count)
        if not first.count(separator):
            separator = r"\s+" if _suffix(path) in (".txt", ".dat") else ","
    header = None if _are_numbers(first.split() if separator == r"\s+" else first.split(separator)) else 0
    options: dict[str, Any] = {"sep": separator, "encoding": "utf-8-sig", "skipinitialspace": True}
    table = pd.read_csv(path, header=header, **options)
    names = [name for name in table.columns if str(name).strip() in verbatim]
    if names:
        table[names] = pd.read_csv(path, usecols=names, dtype=str, na_filter=False, **options)
    return table


def _are_numbers(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


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
