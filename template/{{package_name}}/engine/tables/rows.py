"""Which rows of which file are for training, validation, test and prediction."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from ..contracts import OnError
from ..data.split import SPLITS, split_named, split_rows
from ..data.tables import find_tables, list_tables, read_table
from ..errors import InputError
from .columns import Columns, DataFrame, check_columns, check_filled, classes_of, codes_of, text_columns

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some rows of a file.

    Attributes:
        path: The file.
        table: All its rows.
        places: ``(M,)`` int64, the positions of the part's rows.
    """

    path: Path
    table: DataFrame
    places: np.ndarray

    @property
    def rows(self) -> DataFrame:
        """The rows of the part, indexed by their positions in the file."""
        return self.table.iloc[self.places]


def read_parts(
    path: Path,
    *,
    missing: Sequence[str] = (),
    texts: Sequence[str] = (),
    filled: Sequence[str] = (),
    split_column: str | None = None,
) -> dict[str, Part]:
    """The parts as the files define them; ``train`` is always there, and gets all rows if nothing defines it.

    Args:
        path: A table, or a folder with a table for each part.
        missing: See ``read_table``.
        texts: See ``read_table``; columns of texts in the training part are among them.
        filled: Columns that must have a value in each row.
        split_column: Column of a single table that names the part of each row.

    Raises:
        InputError: A file cannot be read, or there is nothing to train on.
    """
    if path.is_dir():
        if split_column is not None:
            raise InputError(f"expected one file with a column {split_column!r}, got the folder {path}")
        files = find_tables(path)
    else:
        files = {"train": path}
    train = read_table(files["train"], missing, texts)
    if more := [name for name in text_columns(train) if name not in texts]:
        texts = [*texts, *more]
        train = read_table(files["train"], missing, texts)
    others = {split: file for split, file in files.items() if split != "train"}
    tables = {"train": train} | {split: read_table(file, missing, texts) for split, file in others.items()}
    for split, table in tables.items():
        check_filled(table, filled, str(files[split]))
    if split_column is not None:
        return _by_column(path, tables["train"], split_column)
    return {
        split: Part(path=files[split], table=table, places=np.arange(len(table)))
        for split, table in tables.items()
    }


def divide(part: Part, shares: Mapping[str, float], seed: int, target: str | None = None) -> dict[str, Part]:
    """Parts of a part, drawn at random; what is left is ``"train"``.

    Args:
        part: The rows to divide, which stay in their order.
        shares: See ``split_rows``.
        seed: Seed of the permutation.
        target: Column of classes, each divided by the shares; ``None`` to divide without regard to classes.

    Raises:
        InputError: A part would be empty.
    """
    labels = None
    if target is not None:
        column = part.rows[target]
        labels = codes_of(column, classes_of([column]))
    places = split_rows(len(part.places), shares, seed, labels)
    return {name: replace(part, places=part.places[own.numpy()]) for name, own in places.items()}


def read_rows(
    path: Path, columns: Columns, *, missing: Sequence[str], batch_size: int, on_error: OnError, skipped: Path
) -> Iterator[tuple[list[str], Tensor, Tensor | None]]:
    """The rows of a table, or of all tables in a folder, for a trained model; see ``DataModule.read``.

    Files need the columns of the model, in any order; other columns are ignored. A row is called
    ``FILE:ROW``, counted from 0 after the header.

    Yields:
        Names, and features and codes as ``Columns.encode`` returns them.

    Raises:
        InputError: There is no table, or one cannot be read; with ``on_error="skip"`` files and rows are left
            out, unless ``path`` is such a file.
    """
    left_out: list[str] = []
    for file in list_tables(path):
        try:
            table = read_table(file, missing, list(columns.categories))
            columns.check(table, str(file))
        except InputError:
            if on_error == "raise" or file == path:
                raise
            left_out.append(str(file))
            continue
        if on_error == "skip":
            is_good = columns.readable(table)
            left_out += [f"{file}:{row}" for row in table.index[~is_good]]
            table = table[is_good]
        features, codes = columns.encode(table, str(file))
        names = [f"{file}:{row}" for row in table.index]
        for start in range(0, len(table), batch_size):
            rows = slice(start, start + batch_size)
            yield names[rows], features[rows], None if codes is None else codes[rows]
    _list_skipped(left_out, skipped)


def _by_column(path: Path, table: DataFrame, column: str) -> dict[str, Part]:
    check_columns(table, [column], str(path))
    names = table[column].astype(str).map(split_named)
    if (is_unknown := names.isna()).any():
        row = int(is_unknown.to_numpy().argmax())
        raise InputError(
            f"expected {', '.join(SPLITS)} in column {column!r} of {path}:{row}, got "
            f"{table[column].iloc[row]!r}; correct it"
        )
    places = {split: np.flatnonzero(names == split) for split in SPLITS}
    if not len(places["train"]):
        raise InputError(f"expected rows of train in column {column!r} of {path}, got none")
    return {split: Part(path=path, table=table, places=own) for split, own in places.items() if len(own)}


def _list_skipped(left_out: Sequence[str], listing: Path) -> None:
    """Warn in one line of what is left out; ``listing`` names it all, if it can be written."""
    with contextlib.suppress(OSError):
        listing.unlink(missing_ok=True)
        if left_out:
            listing.write_text("".join(f"{name}\n" for name in left_out), encoding="utf-8")
    if left_out:
        log.warning(
            f"skipped {len(left_out)} rows or files that cannot be read: {left_out[0]} first; {listing}"
        )
