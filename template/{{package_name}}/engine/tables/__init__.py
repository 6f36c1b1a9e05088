"""Rows of tables as tensors: which columns, and which rows, for training and for prediction."""

from .columns import Columns, check_filled, classes_of, codes_of, numbers_of, targets_of
from .rows import Part, divide, read_parts, read_rows

__all__ = [
    "Columns",
    "Part",
    "check_filled",
    "classes_of",
    "codes_of",
    "divide",
    "numbers_of",
    "read_parts",
    "read_rows",
    "targets_of",
]
