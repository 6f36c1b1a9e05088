"""Numbers that keep their stored type until they are in a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.examples import ExampleSet
from ..data.tables import read_table
from ..errors import InputError


class FloatSet(ExampleSet[Any]):
    """Examples whose features become float32 only when they are in a batch."""

    def __getitem__(self, positions: Sequence[int] | Tensor) -> Any:
        batch = super().__getitem__(positions)
        return replace(batch, features=batch.tensors["features"].float())


def read_features(
    path: Path, columns: str | Sequence[str], batch_size: int
) -> Iterator[tuple[list[str], Tensor]]:
    """Rows of a table, for ``predict``.

    Yields:
        Names, such as ``rows.csv:17`` counted from 0 after the header, and ``(B, F)`` float32.

    Raises:
        InputError: There is no such table or column, or a value is missing or not a number.
    """
    table, names = read_table(path), [columns] if isinstance(columns, str) else list(columns)
    if absent := [name for name in names if name not in table.columns]:
        raise InputError(f"expected a column {absent[0]!r} in {path}, got {', '.join(table.columns)}")
    try:
        cells = table[names[0]].tolist() if isinstance(columns, str) else table[names].to_numpy("float64")
        values = torch.as_tensor(cells).float()
    except (TypeError, ValueError) as error:
        raise InputError(f"expected numbers in {', '.join(names)} of {path}, got: {error}") from error
    values = values[:, None] if values.ndim == 1 else values
    for start in range(0, len(values), batch_size):
        rows = range(start, min(start + batch_size, len(values)))
        yield [f"{path}:{row}" for row in rows], values[start : start + batch_size]
