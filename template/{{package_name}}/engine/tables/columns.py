"""Columns of a table as tensors, scaled and coded by what its training part contains."""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..data.tables import WHOLE_NUMBER
from ..errors import InputError

# Of pandas, which only code that reads tables imports; its own types say too little about cells.
DataFrame = Any
Series = Any
UNKNOWN = "unknown"
MAX_CATEGORIES = 20  # with more, a text column is used only if its texts repeat
DAY_NS = 86_400 * 10**9
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns go into a model, and how: plain values, which a checkpoint stores.

    Numbers are scaled to zero mean and unit variance in the training part. A missing number becomes the
    mean; if the training part lacks values of a column, a further feature is 1 where one is missing. Dates
    are numbers of days. The categories of a column are numbered from 1 in their order; 0 is a category that
    the training part does not have, or a missing one.

    Attributes:
        means: Mean of each column of numbers.
        stds: Standard deviation of each column of numbers; 1 if all are equal.
        flagged: Columns of numbers with a feature that is 1 where they are missing.
        categories: The categories of each such column.
    """

    means: dict[str, float]
    stds: dict[str, float]
    flagged: list[str]
    categories: dict[str, list[str]]

    @classmethod
    def fit(
        cls,
        table: DataFrame,
        features: Sequence[str] | None = None,
        categories: Sequence[str] = (),
        source: str = "the table",
    ) -> Self:
        """Learn from the rows of a training part.

        Args:
            table: At least one row; its index names them in messages.
            features: Columns to use; ``None`` for all but those without values, or with texts that are mostly
                different; the log names these.
            categories: Columns of numbers to take as categories; columns of texts are categories anyway.
            source: What the table is called in messages.

        Raises:
            InputError: A column is missing or has no values, most but not all of its texts are numbers, or no
                column is left.
        """
        found: dict[str, list[str]] = {}
        numbers: dict[str, np.ndarray] = {}
        for name in _choose(table, features, categories, source):
            if table[name].isna().all():
                raise InputError(f"expected values in column {name!r} of {source}, got none; leave it out")
            if name in categories or _is_text(table[name]):
                if name not in categories:
                    _check_texts(table[name], name, source)
                found[name] = _sorted(_texts(table[name])[1])
            else:
                numbers[name] = numbers_of(table, name, source)
        if not found and not numbers:
            raise InputError(f"expected columns to learn from in {source}, got none")
        stds = {name: float(np.nanstd(values)) for name, values in numbers.items()}
        return cls(
            means={name: float(np.nanmean(values)) for name, values in numbers.items()},
            stds={name: std if std > 0 else 1.0 for name, std in stds.items()},
            flagged=[name for name, values in numbers.items() if np.isnan(values).any()],
            categories=found,
        )

    def plain(self) -> dict[str, Any]:
        """The arguments that make it again, for ``DataDescription.extras``."""
        return asdict(self)

    @property
    def feature_names(self) -> list[str]:
        """Names of the ``F`` features."""
        return [*self.means, *(f"{name} is missing" for name in self.flagged)]

    @property
    def sizes(self) -> list[int]:
        """Numbers of codes of the ``C`` columns of categories, 0 included."""
        return [len(names) + 1 for names in self.categories.values()]

    def check(self, table: DataFrame, source: str) -> None:
        """Refuse a table that lacks a column.

        Raises:
            InputError: A column is missing.
        """
        check_columns(table, [*self.means, *self.categories], source)

    def readable(self, table: DataFrame) -> np.ndarray:
        """``(N,)`` bool: the rows that ``encode`` takes, whose numbers are all finite or missing."""
        faults = [_numbers(table[name])[1] for name in self.means]
        return ~np.any([np.zeros(len(table), bool), *faults], axis=0)

    def encode(self, table: DataFrame, source: str = "the table") -> tuple[Tensor, Tensor | None]:
        """The inputs of all rows.

        Args:
            table: ``N`` rows; other columns are ignored.
            source: What it is called in messages.

        Returns:
            ``(N, F)`` float32 features, and ``(N, C)`` int64 codes in ``[0, sizes)``, ``None`` if ``C`` is 0.

        Raises:
            InputError: A column is missing, or a cell of numbers holds something else or infinity.
        """
        self.check(table, source)
        features = np.zeros((len(table), len(self.feature_names)), np.float32)
        for place, (name, mean) in enumerate(self.means.items()):
            values = numbers_of(table, name, source)
            is_missing = np.isnan(values)
            features[:, place] = np.where(is_missing, 0, (values - mean) / self.stds[name])
            if name in self.flagged:
                features[:, len(self.means) + self.flagged.index(name)] = is_missing
        codes = [codes_of(table[name], names) for name, names in self.categories.items()]
        for name, column in zip(self.categories, codes, strict=True):
            if unknown := int(((column == 0).numpy() & table[name].notna().to_numpy()).sum()):
                log.warning(
                    f"{source}: {unknown} of {len(table)} values in {name!r} are of no known category"
                )
        return torch.from_numpy(features), torch.stack(codes, dim=1) if codes else None

    def write(self, features: Tensor, categories: Tensor | None) -> list[str]:
        """Each row as ``name value, ...``, in the units and words of the table."""
        columns: dict[str, list[str]] = {}
        for place, (name, mean) in enumerate(self.means.items()):
            digits = 6 - math.ceil(math.log10(self.stds[name]))  # the digits after these are noise of float32
            values = (features[:, place].double() * self.stds[name] + mean).round(decimals=digits) + 0.0
            columns[name] = [f"{value:.6g}" for value in values.tolist()]
        for place, name in enumerate(self.flagged, len(self.means)):
            pairs = zip(features[:, place].tolist(), columns[name], strict=True)
            columns[name] = ["missing" if flag else text for flag, text in pairs]
        for place, (name, names) in enumerate(self.categories.items()):
            words = [UNKNOWN, *names]
            columns[name] = (
                [] if categories is None else [words[code] for code in categories[:, place].tolist()]
            )
        rows = zip(*columns.values(), strict=True)
        return [", ".join(f"{name} {text}" for name, text in zip(columns, row, strict=True)) for row in rows]


def check_columns(table: DataFrame, names: Sequence[str], source: str) -> None:
    """Refuse a table without these columns.

    Raises:
        InputError: A column is missing; the message names those that are there.
    """
    if absent := [name for name in names if name not in table.columns]:
        got = list(table.columns)
        more = f" and {len(got) - 12} more" if len(got) > 12 else ""
        raise InputError(
            f"expected a column {absent[0]!r} in {source}, got {', '.join(map(repr, got[:12]))}{more}; "
            "correct the name or the file"
        )


def check_filled(table: DataFrame, names: Sequence[str], source: str) -> None:
    """Refuse a table that lacks one of these columns, or values in them.

    Raises:
        InputError: A column or a value is missing; the message names the column or the first row.
    """
    check_columns(table, names, source)
    for name in names:
        if (is_missing := table[name].isna().to_numpy()).any():
            place = table.index[int(is_missing.argmax())]
            raise InputError(
                f"expected a value in each row of column {name!r}, got none in {source}:{place}, and in "
                f"{is_missing.sum()} rows in all; fill them in, or remove the rows"
            )


def numbers_of(table: DataFrame, name: str, source: str = "the table") -> np.ndarray:
    """``(N,)`` float64 of a column, NaN where it is missing.

    Raises:
        InputError: A cell holds something else, or infinity; the message names the first by its row.
    """
    values, is_fault = _numbers(table[name])
    if is_fault.any():
        row = int(is_fault.argmax())
        got, place = table[name].iloc[row], table.index[row]
        raise InputError(
            f"expected a number in column {name!r} of {source}:{place}, got {str(got)!r}; correct it, "
            "or list what stands for no value as missing"
        )
    return values


def targets_of(
    table: DataFrame, names: Sequence[str], classes: Sequence[str] | None = None, source: str = "the table"
) -> Tensor:
    """``(N, D)`` float64 of the columns ``names``, or ``(N,)`` int64 places in ``classes``, -1 for others."""
    if classes is not None:
        return codes_of(table[names[0]], classes) - 1
    return torch.from_numpy(np.stack([numbers_of(table, name, source) for name in names], axis=1))


def text_columns(table: DataFrame) -> list[str]:
    """Columns of texts, except those that are mostly numbers with a few texts among them."""
    return [str(name) for name in table.columns if _is_text(table[name]) and not _are_mostly(table[name])]


def classes_of(columns: Sequence[Series]) -> list[str]:
    """All values of some columns as texts, in order: by number if all are numbers, else alphabetical."""
    return _sorted([text for column in columns for text in _texts(column)[1]])


def codes_of(column: Series, names: Sequence[str]) -> Tensor:
    """``(N,)`` int64: the position of each cell in ``names``, from 1; 0 if it is missing or not in there."""
    rows, texts = _texts(column)
    numbers = {name: number for number, name in enumerate(names, 1)}
    codes = [numbers.get(text, 0) for text in texts]
    return torch.tensor([*codes, 0])[torch.from_numpy(rows)]  # a missing cell has row -1: the last, 0


def _is_text(column: Series) -> bool:
    from pandas.api import types

    return not (types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype))


def _numbers(column: Series) -> tuple[np.ndarray, np.ndarray]:
    """``(N,)`` float64, and ``(N,)`` bool where a cell is neither missing nor a finite number."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        if column.dt.tz is not None:
            column = column.dt.tz_convert(None)
        days = column.to_numpy("datetime64[ns]").astype(np.int64) / DAY_NS
        return np.where(column.isna(), np.nan, days), np.zeros(len(column), bool)
    if _is_text(column):
        column, given = pd.to_numeric(column.astype(object), errors="coerce"), column
    else:
        given = column
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    is_fault = np.isinf(values) | (np.isnan(values) & given.notna().to_numpy())
    return values, is_fault


def _texts(column: Series) -> tuple[np.ndarray, list[str]]:
    """``(N,)`` int64 indices in the different texts, -1 for missing; and the texts, from ``_text``."""
    import pandas as pd

    rows, values = pd.factorize(column)
    texts = [_text(value) for value in values.tolist()]
    return rows.astype(np.int64), texts


def _text(value: Any) -> str:
    text = str(value).strip()
    return text.partition(".")[0] if WHOLE_NUMBER.fullmatch(text) else text


def _sorted(texts: Sequence[str]) -> list[str]:
    different = sorted(set(texts))
    try:
        return sorted(different, key=float)
    except ValueError:
        return different


def _choose(
    table: DataFrame, features: Sequence[str] | None, categories: Sequence[str], source: str
) -> list[str]:
    """The columns to use: those that are named, or all that something can be learned from."""
    names = list(table.columns) if features is None else list(features)
    names += [name for name in categories if name not in names]
    check_columns(table, names, source)
    if features is not None:
        return names
    return [name for name in names if name in categories or _is_useful(table[name], name)]


def _is_useful(column: Series, name: str) -> bool:
    """Whether something can be learned from a column; if not, the log says why."""
    filled, different = int(column.notna().sum()), column.nunique()
    if not filled:
        why = "it has no values"
    elif _is_text(column) and different > max(MAX_CATEGORIES, filled // 2):
        why = f"of {filled} texts {different} are different; name it in features to use it"
    else:
        return True
    log.warning(f"column {name!r} is left out: {why}")
    return False


def _are_numbers(column: Series) -> np.ndarray:
    """``(N,)`` bool, of a column without gaps."""
    import pandas as pd

    numbers: Series = pd.to_numeric(column.astype(object), errors="coerce")
    return numbers.notna().to_numpy()


def _are_mostly(column: Series) -> bool:
    """Whether more than half of the cells that are filled, if there are any, are numbers."""
    filled = column.dropna()
    return bool(len(filled)) and bool(_are_numbers(filled).mean() > 0.5)


def _check_texts(column: Series, name: str, source: str) -> None:
    """Refuse numbers with a few texts among them, which would silently become categories."""
    filled = column.dropna()
    is_number = _are_numbers(filled)
    if _are_mostly(column) and not is_number.all():
        row = int((~is_number).argmax())
        raise InputError(
            f"expected numbers or texts in column {name!r} of {source}, got mostly numbers, and "
            f"{str(filled.iloc[row])!r} in row {filled.index[row]}; correct it, give it as missing, or "
            "name the column in categories"
        )
