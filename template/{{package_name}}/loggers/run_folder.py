"""The logger that is always on: ``metrics.csv`` in the run's folder."""

import csv
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only


class RunFolderLogger(Logger):
    """Appends each set of numbers as a row to ``metrics.csv``, also when a run is resumed.

    Every row is on disk when the call returns. A metric that appears later adds a column: the file is then
    written anew under another name and put in its place.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.path = run / "metrics.csv"
        self._columns: list[str] | None = None

    @property
    def name(self) -> str:
        """Empty, so that Lightning puts checkpoints directly into the run's folder."""
        return ""

    @property
    def version(self) -> str:
        """Empty, see :attr:`name`."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the folder holds the whole config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row."""
        row = {"step": step, **{name: _short(value) for name, value in metrics.items()}}
        columns = self._columns = self._columns or self._read_columns()
        if new := [name for name in row if name not in columns]:
            columns = self._columns = [*columns, *new]
            self._rewrite(columns)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, columns).writerow(row)

    def _read_columns(self) -> list[str]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            return next(csv.reader(file), [])

    def _rewrite(self, columns: list[str]) -> None:
        rows: list[dict[str, str]] = []
        if self.path.is_file():
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".partial")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self.path)


def _short(value: float) -> float | int:
    """Seven digits, which is what float32 carries; whole numbers without a point."""
    value = float(f"{float(value):.7g}")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
