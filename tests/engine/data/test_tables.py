"""Tables as people have them, read by the names of their columns, or refused in one line."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from my_project.engine.data.split import split_named
from my_project.engine.data.tables import find_tables, is_table, list_tables, read_table
from my_project.engine.errors import InputError

ROWS = {"age": [30, 41, 25], "city": ["Rom", "Köln", "Rom"], "height": [1.5, 1.75, 2.0]}
LINES = ["age,city,height", "30,Rom,1.5", "41,Köln,1.75", "25,Rom,2"]


def written(name: str, *lines: str, encoding: str = "utf-8") -> Path:
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return Path(name)


def columns_of(path: Path) -> dict[str, list[object]]:
    return {name: column.tolist() for name, column in read_table(path).items()}  # type: ignore[misc]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
@pytest.mark.parametrize("suffix", [".csv", ".txt", ".CSV"])
def test_the_separator_is_that_of_the_first_line(separator: str, suffix: str) -> None:
    assert columns_of(written(f"t{suffix}", *(line.replace(",", separator) for line in LINES))) == ROWS


def test_a_tsv_may_hold_commas() -> None:
    path = written("t.tsv", "place, or none\theight", "a, b, c\t1")

    assert columns_of(path) == {"place, or none": ["a, b, c"], "height": [1]}


def test_commas_in_quotes_separate_nothing() -> None:
    assert columns_of(written("t.csv", '"a, b, c";d', '"x, y, z";1')) == {"a, b, c": ["x, y, z"], "d": [1]}


def test_columns_of_white_space_have_a_header_or_numbers_for_names() -> None:
    named = written("named.txt", "age    height", "30   1.5", " 41 1.75")
    plain = written("plain.dat", "30 1.5 7", "41 1.75 8")

    assert columns_of(named) == {"age": [30, 41], "height": [1.5, 1.75]}
    assert columns_of(plain) == {"0": [30, 41], "1": [1.5, 1.75], "2": [7, 8]}


def test_a_first_line_of_numbers_is_a_row_even_if_some_are_missing() -> None:
    table = read_table(written("t.csv", "1,,3", "4,5,6"))

    assert list(table.columns) == ["0", "1", "2"]
    assert table["1"].isna().tolist() == [True, False]


def test_first_lines_that_are_remarks_are_left_out() -> None:
    assert columns_of(written("t.txt", "# from the lab", "# in metres", "", "a b", "1 2")) == {
        "a": [1],
        "b": [2],
    }


def test_many_lines_of_remarks_are_left_out_and_nothing_else_is_no_table() -> None:
    remarks = [f"# {number}, of the lab" for number in range(250)]

    assert columns_of(written("t.csv", *remarks, "a,b", "1,2")) == {"a": [1], "b": [2]}
    refusal = r"^expected a table, got only\.csv: it has no rows; repair the file$"
    with pytest.raises(InputError, match=refusal):
        read_table(written("only.csv", *remarks))


def test_a_mark_of_the_byte_order_is_no_part_of_a_name() -> None:
    path = written("t.csv", *LINES, encoding="utf-8-sig")

    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert columns_of(path) == ROWS


def test_a_comma_is_the_decimal_point_unless_it_separates() -> None:
    assert columns_of(written("tabs.tsv", "a\tb", "1,5\t2")) == {"a": [1.5], "b": [2]}
    assert columns_of(written("commas.csv", "a,b", '"1,5",2')) == {"a": ["1,5"], "b": [2]}
    path = written("t.csv", "height;city;text", "1,5;Rom;1,5 m", "-2,25;Köln;2 m")

    assert columns_of(path) == {"height": [1.5, -2.25], "city": ["Rom", "Köln"], "text": ["1,5 m", "2 m"]}


def test_what_is_missing_is_missing_by_the_usual_words_and_by_ones_own() -> None:
    path = written("t.csv", "a,b", "NA,x", ",y", "?,?", "3,NaN", "-99,z")

    table = read_table(path, missing=["?", "-99"])

    assert table["a"].isna().tolist() == [True, True, True, False, True]
    assert table["b"].isna().tolist() == [False, False, True, True, False]
    assert table["a"].dtype == np.float64


def test_columns_of_texts_keep_their_leading_zeros() -> None:
    path = written("t.csv", " zip ,n", "01234,1", "99999,2")

    assert read_table(path, texts=["zip"])["zip"].tolist() == ["01234", "99999"]
    assert read_table(path)["zip"].tolist() == [1234, 99999]


def test_in_columns_of_texts_only_what_is_empty_is_missing() -> None:
    path = written("t.csv", "class,name,n", "NA,null,NA", "None,,1", ",nan,null", "?,x,2.5")

    table = read_table(path, missing=["?"], texts=["class"], verbatim=["name"])

    assert table["class"].fillna("missing").tolist() == ["NA", "None", "missing", "missing"]
    assert table["name"].tolist() == ["null", "", "nan", "x"]
    assert table["n"].isna().tolist() == [True, False, True, False]


def test_the_unnamed_index_that_pandas_writes_is_left_out() -> None:
    pd.DataFrame(ROWS).to_csv("t.csv")

    assert columns_of(Path("t.csv")) == ROWS


def test_a_separator_at_the_end_of_each_line_moves_no_names() -> None:
    assert columns_of(written("t.csv", "a,b", "1,2,", "3,4,")) == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_texts_may_be_compressed(suffix: str) -> None:
    pd.DataFrame(ROWS).to_csv(f"t.csv{suffix}", index=False)

    assert is_table(Path(f"t.csv{suffix}"))
    assert columns_of(Path(f"t.csv{suffix}")) == ROWS


def test_parquet_and_arrays_give_the_same_columns() -> None:
    pd.DataFrame(ROWS).to_parquet("t.parquet")
    np.savez("t.npz", **{name: np.array(values) for name, values in ROWS.items()})

    assert columns_of(Path("t.parquet")) == ROWS
    assert columns_of(Path("t.npz")) == ROWS


def test_each_column_of_an_array_is_numbered() -> None:
    np.savez("t.npz", x=np.array([[1, 2], [3, 4]]), y=np.array([0.5, 1.5]))

    assert columns_of(Path("t.npz")) == {"x_0": [1, 3], "x_1": [2, 4], "y": [0.5, 1.5]}


def bad_files() -> dict[str, Path]:
    files = {
        "empty": written("empty.csv"),
        "no rows": written("header.csv", "a,b"),
        "names": written("names.csv", "a,b,a", "1,2,3"),
        "more": written("more.csv", "a,b", "1,2", "1,2,3"),
        "shifted": written("shifted.csv", "a,b", "1,2,3", "4,5,6"),
        "utf-16": written("t16.csv", "a,b", "1,2", encoding="utf-16"),
        "latin": written("latin.csv", "a,city", "1,Köln", encoding="latin-1"),
        "suffix": written("t.xlsx", "a"),
    }
    for name in ("t.parquet", "t.npz", "t.csv.gz", "t.csv.zip", "t.csv.xz"):
        Path(name).write_bytes(b"this is none" * 9)
        files[name] = Path(name)
    whole = gzip.compress("".join(f"{line}\n" for line in LINES * 99).encode())
    Path("half.csv.gz").write_bytes(whole[:60])
    files["half"] = Path("half.csv.gz")
    Path("flipped.csv.gz").write_bytes(whole[:20] + bytes(255 - byte for byte in whole[20:]))
    files["flipped"] = Path("flipped.csv.gz")
    np.savez("objects.npz", a=np.array([{}, 1], dtype=object))
    np.savez("lengths.npz", a=np.zeros(2), b=np.zeros(3))
    np.savez("cube.npz", a=np.zeros((2, 2, 2)))
    files |= {name: Path(f"{name}.npz") for name in ("objects", "lengths", "cube")}
    with zipfile.ZipFile("two.csv.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    return files | {"two": Path("two.csv.zip"), "absent": Path("absent.csv"), "folder": Path()}


def test_what_is_no_table_is_refused_in_one_line_that_names_it() -> None:
    for kind, path in bad_files().items():
        with pytest.raises(InputError) as error:
            read_table(path)

        assert str(path) in str(error.value), kind
        assert "\n" not in str(error.value), kind


def test_the_refusals_say_what_to_do() -> None:
    files = bad_files()
    for kind, words in {
        "names": "columns of different names in names.csv, got 'a' twice; rename one",
        "no rows": "expected rows in header.csv, got none",
        "latin": "save it as UTF-8",
        "absent": "no such file: absent.csv",
        "cube": r"array 'a' is \(2, 2, 2\)",
    }.items():
        with pytest.raises(InputError, match=words):
            read_table(files[kind])


def test_the_parts_of_a_folder_are_found_by_usual_names() -> None:
    for name in ("Training.csv", "valid.parquet", "TEST.tsv.gz", "readme.md", "notes.csv"):
        Path(name).touch()

    found = find_tables(Path())

    assert list(found) == ["train", "val", "test"]
    assert {split: path.name for split, path in found.items()} == {
        "train": "Training.csv",
        "val": "valid.parquet",
        "test": "TEST.tsv.gz",
    }
    Path("validation.csv").touch()
    with pytest.raises(InputError, match=r"one table of val, got valid.parquet and validation.csv"):
        find_tables(Path())


def test_a_folder_without_a_training_part_says_what_it_has() -> None:
    Path("people.csv").touch()

    with pytest.raises(
        InputError, match=r"train.csv or a file by its name, got people.csv; name one as file"
    ):
        find_tables(Path())
    with pytest.raises(InputError, match="no such folder of tables: nowhere"):
        find_tables(Path("nowhere"))


def test_tables_are_listed_with_those_of_subfolders_but_hidden_ones() -> None:
    for name in ("b.csv", "a/c.npz", ".git/d.csv", "e.md"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()

    assert [path.as_posix() for path in list_tables(Path())] == ["a/c.npz", "b.csv"]
    assert list_tables(Path("b.csv")) == [Path("b.csv")]
    Path("a/f").mkdir()
    with pytest.raises(InputError, match=r"expected tables .* in a/f, got none"):
        list_tables(Path("a/f"))


def test_spellings_of_the_parts() -> None:
    assert [split_named(name) for name in ("Valid", " test ", "TRAINING", "all")] == [
        "val",
        "test",
        "train",
        None,
    ]
