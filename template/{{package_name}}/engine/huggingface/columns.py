"""Columns of a set as tensors, without copying what is on the disk where that is possible."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError


def tensor_of(dataset: Any, column: str) -> Tensor:
    """A column of numbers, or of lists of equal length.

    Args:
        dataset: A ``datasets.Dataset``.
        column: Its name.

    Returns:
        ``(N, ...)`` in the type in which it is stored (int64 for unsigned types of more than 8 bits); do not
        write to it, since it is the memory-mapped file itself if the column is in one piece.

    Raises:
        InputError: There is no such column, or a value is missing, not a number, or of another length.
    """
    array = _array(dataset, column)
    shape = [len(array)]
    while (kind := str(array.type)).startswith(("list", "large_list", "fixed_size_list")):
        flat = array.flatten()
        if flat.null_count or len(flat) % max(len(array), 1) or not _are_equal(array):
            raise InputError(f"column {column!r}: expected lists of equal length without gaps, got others")
        shape.append(len(flat) // max(len(array), 1))
        array = flat
    if not kind.startswith(("int", "uint", "float", "double", "half", "bool")):
        raise InputError(f"column {column!r}: expected numbers, got {kind}; name another column")
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "u" and values.itemsize > 1:  # torch can hardly compute with them
        values = values.astype(np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values).view(shape)


def texts_of(dataset: Any, column: str) -> list[str]:
    """A column of texts; numbers become texts.

    Raises:
        InputError: There is no such column, or a text is missing.
    """
    return [str(value) for value in _array(dataset, column).to_pylist()]


def class_names(dataset: Any, column: str) -> list[str]:
    """The classes of a column: as the set names them, else its different values, sorted.

    Empty if the column holds no classes but floats or lists.
    """
    if names := _names_of(dataset, column):
        return names
    array = _array(dataset, column)
    if not str(array.type).startswith(("int", "uint", "string", "large_string", "bool")):
        return []
    return [str(value) for value in sorted(array.unique().to_pylist())]


def target_of(dataset: Any, column: str, names: Sequence[str]) -> Tensor:
    """``(N,)`` int64 classes of ``names``; without names ``(N, D)`` float32 numbers.

    Raises:
        InputError: A value is not among the names; or see ``tensor_of``.
    """
    if not names:
        values = tensor_of(dataset, column).float()
        return values[:, None] if values.ndim == 1 else values
    if _names_of(dataset, column):
        return tensor_of(dataset, column).long()
    numbers = {name: number for number, name in enumerate(names)}
    found = texts_of(dataset, column)
    if unknown := [value for value in found if value not in numbers]:
        raise InputError(f"column {column!r}: expected one of {', '.join(names)}, got {unknown[0]!r}")
    return torch.tensor([numbers[value] for value in found])


def features_of(dataset: Any, columns: str | Sequence[str]) -> Tensor:
    """``(N, F)`` numbers: one column as it is stored, or several as a copy in float32."""
    if isinstance(columns, str):
        values = tensor_of(dataset, columns)
        return values[:, None] if values.ndim == 1 else values
    return torch.stack([tensor_of(dataset, column).float() for column in columns], dim=1)


def class_names_of_stream(rows: Any, column: str) -> list[str]:
    """The classes that the set itself names.

    Raises:
        InputError: The set names no classes.
    """
    if names := _names_of(rows, column):
        return names
    raise InputError(f"expected a set that names the classes of {column!r}, got none; give class_names")


def numbers_of(rows: dict[str, list[Any]], columns: str | Sequence[str]) -> Tensor:
    """``(B, F)`` float32 of some rows, given as lists by column.

    Raises:
        InputError: A column is not there, or a value is missing or not a number.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    try:
        values = [torch.tensor(rows[name], dtype=torch.float32) for name in names]
    except KeyError as error:
        raise InputError(f"expected a column {error}, got {', '.join(rows)}; correct the name") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"expected numbers in {', '.join(names)}, got: {error}") from error
    return values[0] if values[0].ndim == 2 and len(values) == 1 else torch.stack(values, dim=1)


def classes_of(rows: dict[str, list[Any]], column: str, names: Sequence[str]) -> Tensor:
    """``(B,)`` int64 classes of some rows: numbers of classes, or their names.

    Raises:
        InputError: A value is neither.
    """
    found = [names.index(value) if value in names else value for value in rows[column]]
    if unknown := [value for value in found if not isinstance(value, int) or not 0 <= value < len(names)]:
        raise InputError(f"column {column!r}: expected one of {', '.join(names)}, got {unknown[0]!r}")
    return torch.tensor(found)


def _names_of(rows: Any, column: str) -> list[str]:
    """The classes that the set itself names; empty for a stream whose columns are not known yet."""
    feature = (rows.features or {}).get(column)
    return [] if feature is None else [str(name) for name in vars(feature).get("names") or ()]


def _array(dataset: Any, column: str) -> Any:
    """A column as one array of Arrow; a copy in memory if the column is in several pieces."""
    if column not in dataset.column_names:
        got = ", ".join(map(repr, dataset.column_names))
        raise InputError(f"expected a column {column!r}, got {got}; correct data.init_args.fields")
    chunks = dataset.data.column(column)
    if chunks.null_count:
        raise InputError(f"column {column!r}: expected a value in each row, got {chunks.null_count} without")
    return chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()


def _are_equal(lists: Any) -> bool:
    """Whether all lists have one length."""
    return str(lists.type).startswith("fixed_size") or len(lists.value_lengths().unique()) <= 1
