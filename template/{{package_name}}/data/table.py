"""Rows of a table: numbers and categories by column name."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..engine.contracts import DataDescription
from ..engine.data import BatchedData, ExampleSet, shares_by_name
from ..engine.errors import InputError
from ..engine.tables import Columns, Part, classes_of, divide, read_parts, read_rows, targets_of
from ..structs import VectorExample

HERE = Path(__file__).parent


@dataclass(kw_only=True, eq=False)
class TableExample(VectorExample):
    """A batch of rows: scaled numbers, and codes of categories; see ``Columns``.

    Attributes:
        features: ``(B, F)`` float32.
        categories: ``(B, C)`` int64; ``None`` without columns of categories.
    """

    categories: Tensor | None = None

    def texts(self, data: DataDescription) -> list[str]:
        """Each row as ``name value, ...``, in the units and words of the file."""
        if "columns" not in data.extras:
            return super().texts(data)
        return Columns(**data.extras["columns"]).write(self.features, self.categories)


class Table(BatchedData):
    """Rows of CSV, TSV, columns of text, Parquet or ``.npz``; see ``read_table`` and ``Columns``.

    One file is divided at random, classes by their shares, or by a column that names the part; or a folder
    has ``train.csv`` and, optionally, ``val.csv`` and ``test.csv``, by any usual spelling. Scales and
    categories are learned from the training set alone, and kept in the model's checkpoint.

    Args:
        data_dir: Folder of the data.
        file: One file in it, or one that comes with the project; empty for one file per part.
        target: Column to predict; for numbers, also several.
        task: ``regression``: numbers; ``multiclass``: classes, one for each different value.
        features: Columns to learn from; ``None`` for all but the target.
        categories: Numeric columns to take as categories; text columns always are.
        missing: What stands for no value besides an empty cell, and in columns of numbers ``NA``, ``NaN`` and
            the like; in those of texts these are words.
        split_column: Column that says ``train``, ``val`` or ``test`` of each row.
        test_split: Share of the rows, or their number, that makes the test set of one file; 0 for none.
        **kwargs: See ``BatchedData``.

    Raises:
        InputError: A file, a column or a cell is not what it should be.
    """

    def __init__(
        self,
        data_dir: str = "data",
        file: str = "",
        *,
        target: str | list[str],
        task: Literal["regression", "multiclass"] = "regression",
        features: list[str] | None = None,
        categories: list[str] | None = None,
        missing: list[str] | None = None,
        split_column: str | None = None,
        test_split: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        self.file, self.task, self.test_split = file, task, test_split
        self.target = [target] if isinstance(target, str) else list(target)
        self.features, self.categories = features, categories or []
        self.missing, self.split_column = missing or [], split_column
        if not self.target or (task == "multiclass" and len(self.target) > 1):
            raise InputError(f"expected one target, of numbers one or more, got {self.target}")
        if both := set(self.target) & {*(features or []), *self.categories}:
            raise InputError(f"expected a target that is no feature, got {sorted(both)} as both")

    def load(self, split: str) -> dict[str, ExampleSet[TableExample]]:
        return {
            name: ExampleSet(self._encoded[part.path], torch.from_numpy(part.places))
            for name, part in self._parts.items()
            if name == split or (split == "val" and name not in ("train", "test"))
        }

    def describe(self) -> DataDescription:
        """Names of targets or classes; ``extras`` has everything needed to read other files."""
        train, columns = self._parts["train"], self._columns
        extras: dict[str, Any] = {"columns": columns.plain(), "category_sizes": columns.sizes}
        extras |= {"feature_names": columns.feature_names, "missing": self.missing}
        if self.task == "regression":
            values = targets_of(train.rows, self.target, source=str(train.path))
            stds = [std or 1.0 for std in values.std(dim=0, correction=0).tolist()]
            extras |= {"target_means": values.mean(dim=0).tolist(), "target_stds": stds}
        shapes = self._encoded[train.path].shapes
        shapes = {name: shape for name, shape in shapes.items() if name != "target"}
        names = tuple(self.target) if self.task == "regression" else tuple(self._classes)
        return DataDescription(num_outputs=len(names), class_names=names, shapes=shapes, extras=extras)

    @classmethod
    def read(
        cls, path: Path, data: DataDescription, **options: Any
    ) -> Iterator[tuple[list[str], TableExample]]:
        """For ``predict``: a table, or a folder, searched with its subfolders; see ``read_rows``."""
        if "columns" not in data.extras:
            raise InputError("expected a model that was trained on a Table, got one that knows no columns")
        columns, missing = Columns(**data.extras["columns"]), data.extras["missing"]
        for names, features, categories in read_rows(path, columns, missing=missing, **options):
            yield names, TableExample(features=features, categories=categories)

    @cached_property
    def _parts(self) -> dict[str, Part]:
        """``train``, the validation sets by their names, and ``test`` if there is one."""
        classes = self.target[0] if self.task == "multiclass" else None
        parts = read_parts(
            self._path(),
            missing=self.missing,
            texts=[*self.categories, *([classes] if classes else [])],
            filled=self.target,
            split_column=self.split_column,
        )
        if self.file and self.split_column is None and self.test_split:
            parts = divide(parts["train"], {"test": self.test_split}, self.seed, classes)
        if "val" not in parts:
            parts |= divide(parts["train"], shares_by_name(self.val_split), self.seed, classes)
        return parts

    def _path(self) -> Path:
        """The file, or the folder."""
        path = Path(self.data_dir, self.file)
        return HERE / self.file if self.file and not path.exists() and (HERE / self.file).is_file() else path

    @cached_property
    def _classes(self) -> list[str]:
        return classes_of([part.rows[self.target[0]] for part in self._parts.values()])

    @cached_property
    def _columns(self) -> Columns:
        """What the training part says of the features."""
        train, others = self._parts["train"], {*self.target, self.split_column}
        rows = train.rows.drop(columns=[name for name in train.table.columns if name in others])
        return Columns.fit(rows, self.features, self.categories, str(train.path))

    @cached_property
    def _encoded(self) -> dict[Path, TableExample]:
        """All rows of each file, in their order."""
        encoded = {}
        for path, table in {part.path: part.table for part in self._parts.values()}.items():
            features, categories = self._columns.encode(table, str(path))
            classes = self._classes if self.task == "multiclass" else None
            target = targets_of(table, self.target, classes, source=str(path))
            target = target if classes else target.float()
            encoded[path] = TableExample(features=features, categories=categories, target=target)
        return encoded
