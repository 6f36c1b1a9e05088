"""Columns become features and codes by what the training part says of them, and by nothing else."""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.tables import Columns, check_filled, classes_of, codes_of, numbers_of

TRAIN = pd.DataFrame(
    {
        "age": [20.0, 30.0, np.nan, 70.0],
        "city": ["Rom", "Köln", None, "Rom"],
        "floor": [1, 10, 2, 1],
        "size": [5, 5, 5, 5],
    }
)
OTHER = pd.DataFrame(
    {"floor": [2, 3], "city": ["Wien", "Köln"], "size": [7, 5], "age": [100.0, np.nan], "x": 0}
)


def fitted(**options: Any) -> Columns:
    return Columns.fit(TRAIN, **{"categories": ["floor"], **options})


def test_numbers_are_scaled_by_the_training_part_alone() -> None:
    features, _ = fitted().encode(OTHER)

    mean, std = 40.0, np.sqrt((400 + 100 + 900) / 3)
    assert fitted().feature_names == ["age", "size", "age is missing"]
    expected = torch.tensor([[(100 - mean) / std, 2, 0], [0, 0, 1]], dtype=torch.float64).float()
    torch.testing.assert_close(features, expected)
    train, _ = fitted().encode(TRAIN)
    torch.testing.assert_close(
        train[[0, 1, 3], 0].double().mean(), torch.tensor(0.0).double(), atol=1e-6, rtol=0
    )
    assert train[:, 2].tolist() == [0, 0, 1, 0], "where the training part lacks a value"


def test_a_column_without_missing_values_gets_no_indicator_and_its_mean_where_one_is_missing_later() -> None:
    columns = Columns.fit(pd.DataFrame({"a": [1, 3]}))

    features, codes = columns.encode(pd.DataFrame({"a": [np.nan, 3]}))

    assert features.tolist() == [[0.0], [1.0]]
    assert codes is None


def test_large_numbers_with_small_differences_keep_them() -> None:
    seconds = pd.DataFrame({"time": 1.7e9 + np.arange(5)})

    features, _ = Columns.fit(seconds).encode(seconds)

    np.testing.assert_allclose(features[:, 0], (np.arange(5) - 2) / np.sqrt(2), rtol=1e-6)


def test_categories_count_from_one_in_their_order_and_unknown_or_missing_ones_are_zero(
    caplog: pytest.LogCaptureFixture,
) -> None:
    columns = fitted()
    assert columns.categories == {"city": ["Köln", "Rom"], "floor": ["1", "2", "10"]}
    assert columns.sizes == [3, 4]
    _, codes = columns.encode(TRAIN)
    assert codes is not None
    assert codes.tolist() == [[2, 1], [1, 3], [0, 2], [2, 1]]
    assert not caplog.records

    _, codes = columns.encode(OTHER, "new.csv")

    assert codes is not None
    assert codes.tolist() == [[0, 2], [1, 0]]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "new.csv: 1 of 2 values in 'city' are of no known category",
        "new.csv: 1 of 2 values in 'floor' are of no known category",
    ]


@pytest.mark.parametrize(
    "floors", [[1.0, 10.0, np.nan], ["1", "10.0", None], pd.array([1, 10, None], dtype="Int64")], ids=str
)
def test_a_category_is_the_same_however_the_file_stores_it(floors: Any) -> None:
    assert codes_of(pd.Series(floors), ["1", "2", "10"]).tolist() == [1, 3, 0]


def test_yes_and_no_and_dates_are_numbers() -> None:
    days = pd.to_datetime(["1970-01-01", "1970-01-11"])
    table = pd.DataFrame({"is_new": [True, False], "day": days, "zone": days.tz_localize("+06:00")})

    columns = Columns.fit(table)

    assert columns.means == {"is_new": 0.5, "day": 5.0, "zone": 4.75}
    assert columns.encode(table)[0].tolist() == [[1, -1, -1], [-1, 1, 1]]


def test_a_number_among_numbers_that_lack_a_type_is_missing_and_not_a_text() -> None:
    table = pd.DataFrame({"n": pd.array([1, None, 3], dtype="Int64"), "f": pd.array([0.5, 1, None])})

    features, _ = Columns.fit(table).encode(table)

    np.testing.assert_allclose(features, [[-1, -1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1]])


def test_it_is_made_again_of_plain_values() -> None:
    columns = fitted()

    again = Columns(**torch.load(saved(columns.plain()), weights_only=True))

    assert again == columns
    torch.testing.assert_close(again.encode(OTHER), columns.encode(OTHER))


def saved(value: Any) -> str:
    torch.save(value, "plain.pt")
    return "plain.pt"


def test_rows_are_written_in_the_units_and_words_of_the_table() -> None:
    assert fitted().write(*fitted().encode(TRAIN)) == [
        "age 20, size 5, city Rom, floor 1",
        "age 30, size 5, city Köln, floor 10",
        "age missing, size 5, city unknown, floor 2",
        "age 70, size 5, city Rom, floor 1",
    ]


def test_texts_that_are_mostly_different_and_empty_columns_are_left_out_with_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = pd.DataFrame({"name": [f"Ada {n}" for n in range(40)], "none": np.nan, "n": range(40)})

    assert Columns.fit(table).feature_names == ["n"]

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [
        "column 'name' is left out: of 40 texts 40 are different; name it in features to use it",
        "column 'none' is left out: it has no values",
    ]
    assert len(Columns.fit(table, ["name"]).categories["name"]) == 40


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fitted(features=["agee"]),
            r"a column 'agee' in the table, got 'age', 'city', .*; correct the",
        ),
        (lambda: fitted(features=[], categories=[]), "expected columns to learn from in the table, got none"),
        (lambda: fitted().encode(TRAIN[["age"]], "a.csv"), "expected a column 'size' in a.csv, got 'age'"),
        (
            lambda: fitted().encode(TRAIN.assign(size=["5", "5", "tall", "5"]), "a.csv"),
            "a number in column 'size' of a.csv:2, got 'tall'; correct it, or list what stands for no",
        ),
        (
            lambda: numbers_of(pd.DataFrame({"a": [1, np.inf]}), "a"),
            "a number in column 'a' of the table:1, got 'inf'",
        ),
        (
            lambda: Columns.fit(pd.DataFrame({"a": ["1", "2", "?", "4"]})),
            r"numbers or texts in column 'a' of the table, got mostly numbers, and '\?' in row 2; correct it",
        ),
        (
            lambda: Columns.fit(TRAIN.assign(size=None), ["size"]),
            "expected values in column 'size' .*, got none",
        ),
        (
            lambda: check_filled(TRAIN, ["size", "age"], "a.csv"),
            "a value in each row of column 'age', got none in a.csv:2, and in 1 rows in all",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_rows_that_cannot_be_encoded_are_known() -> None:
    table = TRAIN.assign(size=[5, np.inf, 5, 5], age=["20", "30", None, "old"])

    assert fitted().readable(table).tolist() == [True, False, True, False]


def test_classes_stand_in_the_order_of_numbers_where_all_are_some() -> None:
    assert classes_of([pd.Series([10, 9]), pd.Series([2.0, np.nan])]) == ["2", "9", "10"]
    assert classes_of([pd.Series(["b", "a", "10"])]) == ["10", "a", "b"]
