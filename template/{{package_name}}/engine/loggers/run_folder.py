"""The logger that is always on: ``metrics.csv``, pictures and tables in the run's folder."""

import csv
import json
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from ..errors import InputError
from ..runs.files import replacing, write_text
from ..runs.folder import FIGURES, METRICS, TABLES
from .base import RunLogger


class RunFolderLogger(RunLogger):
    """Appends each set of numbers as a row to ``metrics.csv``, also when a run is resumed.

    Every row is in the file when the call returns. A metric that appears later adds a column: the file is
    then replaced atomically. Pictures are ``figures/<key>/step-<n>.png``, with captions in a ``.json``
    beside them; tables are ``tables/<key>/step-<n>.csv``.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.path = run / METRICS
        self._columns: list[str] | None = None
        self._is_made = run.is_dir()

    @property
    def name(self) -> str:
        """Empty, so that Lightning puts checkpoints directly into the run's folder."""
        return ""

    @property
    def version(self) -> str:
        """Empty, see ``name``."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the folder already holds the whole config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append a row to ``metrics.csv``."""
        row = {
            "step": (step or 0) + self.first_step,
            **({"stage": self.stage.number} if self.stage else {}),
            **{name: _short(value) for name, value in metrics.items()},
        }
        self._check_folder()
        if self._columns is None:
            self._columns = self._read()[0]
        if new := [name for name in row if name not in self._columns]:
            self._write([*self._columns, *new], self._read()[1])
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    @rank_zero_only
    def save_figure(
        self, key: str, picture: Image.Image, step: int, captions: dict[str, Any] | None = None
    ) -> None:
        """Write a picture as PNG, and ``captions`` as JSON beside it."""
        path = self._place(FIGURES, key, step, ".png")
        if captions is not None:
            write_text(path.with_suffix(".json"), json.dumps(captions, ensure_ascii=False))
        with replacing(path) as partial:
            picture.save(partial, "png")

    @rank_zero_only
    def save_table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Write a table as CSV."""
        with (
            replacing(self._place(TABLES, key, step, ".csv")) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)

    @rank_zero_only
    def forget_from(self, step: int) -> None:
        """Drop what training and validation logged from ``step`` on: a resumed run logs it again."""
        if self.path.is_file():
            columns, rows = self._read()
            self._write(columns, [row for row in rows if int(row["step"]) < step or _is_test(row)])
        for path in self._pictures_and_tables():
            if int(path.stem.removeprefix("step-")) >= step:
                path.unlink()

    def has_test(self, step: int) -> bool:
        """Whether a test of the checkpoint saved at ``step`` was logged."""
        return any(_is_test(row) and int(row["step"]) == step for row in self._read()[1])

    def _place(self, kind: str, key: str, step: int, suffix: str) -> Path:
        self._check_folder()
        path = self.path.parent / kind / key / f"step-{step + self.first_step:08d}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _check_folder(self) -> None:
        """Refuse to make the folder again: it would hold only the rest of the run.

        Raises:
            InputError: The folder, or ``metrics.csv`` in it, existed and is gone.
        """
        place = self.path if self._columns else self.path.parent
        if self._is_made and not place.exists():
            raise InputError(
                f"expected {os.path.relpath(place)} as it was left, got none: it was moved or removed during "
                "the run; start the run again"
            )

    def _pictures_and_tables(self) -> Iterator[Path]:
        """The files of pictures and tables of training and validation."""
        for kind in (FIGURES, TABLES):
            for split in ("train", "val"):
                yield from (self.path.parent / kind / split).rglob("step-*.*")

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        if not self.path.is_file():
            return [], []
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or []), list(reader)

    def _write(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        self._columns = columns
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


def _is_test(row: dict[str, str]) -> bool:
    return any(value and name.startswith("test/") for name, value in row.items())


def _short(value: float) -> float | int:
    """The value to seven digits, about the precision of float32; an ``int`` if it is whole."""
    value = float(f"{float(value):.7g}")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
