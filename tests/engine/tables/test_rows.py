"""Parts of tables for training and validation, and rows of files for a trained model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.tables import Columns, divide, read_parts, read_rows

COLUMNS = Columns(means={"a": 1.0}, stds={"a": 2.0}, flagged=[], categories={"c": ["x", "y"]})


def people(path: str, num_rows: int = 40) -> Path:
    table = pd.DataFrame({"a": range(num_rows), "c": ["x", "y", "y", "y"] * (num_rows // 4)})
    table.to_csv(path, index=False)
    return Path(path)


def rows_of(path: Path, **options: Any) -> tuple[list[str], list[float], list[int]]:
    names, features, codes = [], list[float](), list[int]()
    defaults = {"missing": [], "batch_size": 3, "on_error": "raise", "skipped": Path("skipped.txt")}
    for batch, numbers, categories in read_rows(path, COLUMNS, **{**defaults, **options}):
        assert categories is not None
        assert len(batch) == len(numbers) == len(categories) <= 3
        names += batch
        features += numbers[:, 0].tolist()
        codes += categories[:, 0].tolist()
    return names, features, codes


def test_an_na_is_a_word_in_a_column_of_texts_and_missing_in_one_of_numbers() -> None:
    for name in ("train.csv", "val.csv"):
        Path(name).write_text("a,alley,kind\nNA,NA,NA\n1,Grvl,null\n2,,x\n")

    train, val = read_parts(Path(), texts=["kind"]).values()

    for table in (train.table, val.table):
        assert table["kind"].tolist() == ["NA", "null", "x"]
        assert table["alley"].fillna("missing").tolist() == ["NA", "Grvl", "missing"]
        assert table["a"].isna().tolist() == [True, False, False]
    columns = Columns.fit(train.table)
    assert columns.categories == {"alley": ["Grvl", "NA"], "kind": ["NA", "null", "x"]}
    ((_, _, codes),) = read_rows(
        Path("val.csv"), columns, missing=[], batch_size=9, on_error="raise", skipped=Path("skipped.txt")
    )
    assert codes is not None
    assert codes.tolist() == [[2, 1], [1, 2], [0, 3]]


def test_numbers_with_a_few_texts_are_refused_by_the_text_that_is_none() -> None:
    Path("t.csv").write_text("a,b\nNA,1\n1,2\nmany,3\n2,4\n3,5\n")

    (part,) = read_parts(Path("t.csv")).values()

    with pytest.raises(InputError, match="got mostly numbers, and 'many' in row 2"):
        Columns.fit(part.table)


def test_one_file_is_one_part_until_it_is_divided() -> None:
    (whole,) = read_parts(people("p.csv")).values()

    parts = divide(whole, {"test": 0.2, "val": 4}, seed=3)

    assert {name: len(part.rows) for name, part in parts.items()} == {"test": 8, "val": 4, "train": 28}
    places = np.concatenate([part.places for part in parts.values()])
    assert sorted(places.tolist()) == list(range(40))
    for part in parts.values():
        assert part.rows["a"].tolist() == part.places.tolist(), "rows are called by their places"
    again, other = divide(whole, {"test": 0.2}, seed=3), divide(whole, {"test": 0.2}, seed=4)
    assert again["test"].places.tolist() == parts["test"].places.tolist()
    assert other["test"].places.tolist() != parts["test"].places.tolist()


def test_each_part_has_its_share_of_each_class() -> None:
    (whole,) = read_parts(people("p.csv")).values()

    parts = divide(whole, {"test": 0.2, "val": 0.1}, seed=3, target="c")
    shares = {
        name: (part.rows["c"] == "x").mean()
        for name, part in divide(parts["train"], {"v": 0.5}, 1, "c").items()
    }

    assert {name: (part.rows["c"] == "x").mean() for name, part in parts.items()} == dict.fromkeys(
        parts, 0.25
    )
    inner = divide(parts["train"], {"v": 0.5}, 1)
    assert {*inner["v"].places, *inner["train"].places} == {*parts["train"].places}
    assert shares["v"] == pytest.approx(0.25, abs=0.05), "a part of a part, too"


def test_a_column_may_say_the_part() -> None:
    table = pd.DataFrame({"a": range(5), "part": ["Train", "test", "validation", "train", "dev"]})
    table.to_csv("p.csv", index=False)

    parts = read_parts(Path("p.csv"), split_column="part")

    assert {name: part.places.tolist() for name, part in parts.items()} == {
        "train": [0, 3],
        "val": [2, 4],
        "test": [1],
    }
    table.assign(part=["train", "holdout", "val", "train", "val"]).to_csv("p.csv", index=False)
    with pytest.raises(
        InputError, match=r"expected train, val, test in column 'part' of p.csv:1, got 'holdout'"
    ):
        read_parts(Path("p.csv"), split_column="part")
    table.assign(part="test").to_csv("p.csv", index=False)
    with pytest.raises(InputError, match=r"expected rows of train in column 'part' of p.csv, got none"):
        read_parts(Path("p.csv"), split_column="part")
    with pytest.raises(InputError, match=r"expected a column 'fold' in p.csv, got 'a', 'part'"):
        read_parts(Path("p.csv"), split_column="fold")


def test_a_folder_has_a_file_for_each_part() -> None:
    Path("d").mkdir()
    people("d/train.csv")
    people("d/valid.csv", 8)

    parts = read_parts(Path("d"))

    assert {name: len(part.rows) for name, part in parts.items()} == {"train": 40, "val": 8}
    with pytest.raises(InputError, match="expected one file with a column 'part', got the folder d"):
        read_parts(Path("d"), split_column="part")


def test_rows_of_a_file_come_with_their_names_whatever_the_order_of_its_columns() -> None:
    pd.DataFrame({"z": 9, "c": ["y", "x", "q", None], "a": [1, 3, 5, None]}).to_csv("p.csv", index=False)

    names, features, codes = rows_of(Path("p.csv"))

    assert names == ["p.csv:0", "p.csv:1", "p.csv:2", "p.csv:3"]
    assert features == [0, 1, 2, 0]
    assert codes == [2, 1, 0, 0]


def test_all_tables_of_a_folder_are_read_in_their_order() -> None:
    for name in ("d/b.csv", "d/a.parquet"):
        Path("d").mkdir(exist_ok=True)
        table = pd.DataFrame({"a": [1.0, 3.0], "c": ["x", "y"]})
        if name.endswith("csv"):
            table.to_csv(name, index=False)
        else:
            table.to_parquet(name)

    assert rows_of(Path("d"))[0] == ["d/a.parquet:0", "d/a.parquet:1", "d/b.csv:0", "d/b.csv:1"]


def test_what_cannot_be_read_is_refused_or_left_out_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    Path("d").mkdir()
    Path("d/a.csv").write_text("a,c\n1,x\nold,y\n5,y\n")
    Path("d/b.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"expected a number in column 'a' of d/a.csv:1, got 'old'"):
        rows_of(Path("d"))

    names, features, codes = rows_of(Path("d"), on_error="skip")

    assert (names, features, codes) == (["d/a.csv:0", "d/a.csv:2"], [0, 2], [1, 2])
    assert Path("skipped.txt").read_text().splitlines() == ["d/a.csv:1", "d/b.csv"]
    assert "skipped 2 rows or files that cannot be read: d/a.csv:1 first; skipped.txt" in caplog.text
    with pytest.raises(InputError, match=r"expected a column 'c' in d/b.csv"):
        rows_of(Path("d/b.csv"), on_error="skip")
    rows_of(Path("d/a.csv"), missing=["old"])
    assert not Path("skipped.txt").exists(), "of an earlier prediction"


def test_own_words_for_missing_are_those_of_training() -> None:
    Path("p.csv").write_text("a,c\n-9,x\n3,?\n")

    _, features, codes = rows_of(Path("p.csv"), missing=["-9", "?"])

    assert (features, codes) == ([0, 1], [1, 0])


def test_a_category_of_digits_keeps_its_zeros() -> None:
    Path("p.csv").write_text("a,c\n1,01\n1,1\n")
    columns = Columns(means={}, stds={}, flagged=[], categories={"c": ["01", "AB"]})

    ((_, features, codes),) = read_rows(
        Path("p.csv"), columns, missing=[], batch_size=9, on_error="raise", skipped=Path("s")
    )

    assert features.shape == (2, 0)
    assert codes is not None
    assert torch.equal(codes, torch.tensor([[1], [0]]))
