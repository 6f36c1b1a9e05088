"""Where labelled images lie: in folders of classes, by a table of files, or in arrays."""

from pathlib import Path

from .arrays import Arrays
from .base import Layout
from .folders import find_folders, read_classes
from .tables import Columns, LabelTable

__all__ = ["Columns", "Layout", "find_layout", "read_classes"]


def find_layout(path: Path, labels: str | None, columns: Columns) -> Layout:
    """The layout of ``path``, a folder, a table or an ``.npz`` file.

    Args:
        path: Where the data is.
        labels: Table of files and labels in it, if there is one.
        columns: What the columns of a table mean.

    Raises:
        InputError: The layout is unknown or wrong; the message says what was found and what would work.
    """
    if path.suffix.lower() == ".npz":
        return Arrays(path)
    if labels is None and not path.is_file():
        return find_folders(path)
    root = path.parent if path.is_file() else path
    return LabelTable(root / labels if labels else path, root, columns)
