"""Labels in a table of files."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from PIL import Image

FILES = [f"{number}.png" for number in range(8)]
CLASSES = ["cat", "ant", "bee", "ant", "cat", "bee", "ant", "ant"]
WORDS = ["NA", "null", "None", "nan", "NA", "007", "3.0", "3"]
NAMES = [*WORDS[:6], "3", "3"]


def write_images(folder: Path, names: list[str] = FILES) -> None:
    """Image ``i`` has the level ``i``."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(folder / name)


def make(root: Path, table: dict[str, Any], **options: Any) -> ImageFolder:
    pd.DataFrame(table).to_csv(root / "labels.csv", index=False)
    options = {"image_size": 4, "test_split": 0, "labels": "labels.csv", **options}
    return ImageFolder(str(root), **options)


def read(data: ImageFolder, split: str = "train") -> dict[int, Any]:
    """The target of each image, by its level."""
    images = data.sets_of(split)[split]
    batch = images[range(len(images))]
    assert batch.target is not None
    return dict(zip(batch.image[:, 0, 0, 0].tolist(), batch.target.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_files_and_labels_of_any_table(tmp_path: Path, kind: str) -> None:
    write_images(tmp_path)
    table = pd.DataFrame({"width": 4, "label": CLASSES, "file": FILES})
    path = tmp_path / f"labels.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")

    for data_dir, labels in ((tmp_path, path.name), (path, None)):
        data = ImageFolder(str(data_dir), image_size=4, test_split=0, labels=labels)

        assert data.class_names == ["ant", "bee", "cat"]
        assert read(data) == {number: data.class_names.index(name) for number, name in enumerate(CLASSES)}


def test_columns_by_name_and_what_was_found_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write_images(tmp_path)
    names = {"file_column": "photo", "label_columns": "kind", "split_column": "part"}
    parts = ["train"] * 5 + ["Validation", "dev", "TEST"]
    table = {"label": 1, "file": "x", "photo": FILES, "kind": CLASSES, "part": parts}
    with pytest.raises(InputError, match=r"expected train, val or test as splits in .*labels.csv, got 'dev'"):
        make(tmp_path, table, **names)
    table["part"][6] = "valid"
    data = make(tmp_path, table, **names)

    assert caplog.messages[-1] == (
        f"{tmp_path}/labels.csv: files in column 'photo', labels in 'kind', splits in 'part'"
    )
    assert [list(read(data, split)) for split in ("train", "val", "test")] == [[0, 1, 2, 3, 4], [5, 6], [7]]


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        (["train/a/0.png", "train/b/1.png"], ["a/0.png", "b/1.png"]),  # from the table's folder
        (["train/a/0.png", "train/b/1.png"], ["train/a/0.png", "train/b/1.png"]),  # from the data's folder
        (["a/0.png", "b/1.png"], ["0.png", "1.png"]),  # by name
        (["a/0.jpeg", "b/1.png"], ["0", "1"]),  # without suffix
        (["a/0007.png", "b/0012.png"], ["0007", "0012"]),  # read as numbers
        (["a/x.png", "x.png"], ["a/x.png", "x.png"]),  # the whole path goes first
    ],
)
def test_files_are_found_however_the_table_names_them(
    tmp_path: Path, names: list[str], cells: list[str]
) -> None:
    write_images(tmp_path, names)
    table = pd.DataFrame({"image_id": cells, "class": ["yes", "no"]})
    where = tmp_path / "train" / "labels.csv" if cells[0] == "a/0.png" else tmp_path / "labels.csv"
    table.to_csv(where, index=False)
    labels = where.relative_to(tmp_path).as_posix()
    data = ImageFolder(str(tmp_path), image_size=4, test_split=0, labels=labels)

    assert read(data) == {0: 1, 1: 0}


def test_one_name_of_several_files_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/0.png", "b/0.png"])
    data = make(tmp_path, {"file": ["0.png", "b/0.png"], "label": ["x", "y"]})

    with pytest.raises(
        InputError, match=r"expected one file '0.png' below .*, got several; write their folders"
    ):
        data.prepare_data()


def test_missing_files_are_refused_or_skipped_like_unreadable_ones(tmp_path: Path) -> None:
    write_images(tmp_path, FILES[:6])
    table = {"file": FILES, "label": CLASSES}

    with pytest.raises(
        InputError, match=r"expected 8 images, got 2 that cannot be read: .*6.png: No such file"
    ):
        make(tmp_path, table).prepare_data()
    assert list(read(make(tmp_path, table, on_error="skip"))) == [0, 1, 2, 3, 4, 5]


SEVERAL = [["ant", "bee"], ["bee"], [], ["cat", "ant"]]
ROWS = {0: [1, 1, 0], 1: [0, 1, 0], 2: [0, 0, 0], 3: [1, 0, 1]}


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"tags": [" ".join(row) for row in SEVERAL]}, {"separator": " "}),
        ({"tags": [" | ".join(row) for row in SEVERAL]}, {"separator": "|"}),
        ({"tags": [str(row) for row in SEVERAL]}, {}),
        ({"tags": [f"[{', '.join(row)}]" for row in SEVERAL]}, {}),
        ({"ant": [1, 0, 0, 1], "bee": [1, 1, 0, 0], "cat": [0, 0, 0, 1]}, {}),
        (
            {
                "note": ["x"] * 4,
                "ant": [True, False, False, True],
                "bee": [1, 1, 0, 0],
                "cat": [0, 0, 0, 1.0],
            },
            {"label_columns": ["ant", "bee", "cat"]},
        ),
    ],
    ids=["separator", "separator and spaces", "lists", "lists without quotes", "columns", "named columns"],
)
def test_several_labels_are_rows_of_floats(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, Any]
) -> None:
    write_images(tmp_path, FILES[:4])
    data = make(tmp_path, {"file": FILES[:4], **columns}, val_split=1, **options)

    assert data.class_names == ["ant", "bee", "cat"]
    assert data.describe().num_outputs == 3
    target = data.sets_of("train")["train"].targets
    assert target is not None
    assert target.dtype == torch.float32
    assert read(data) == ROWS
    data.setup("fit")  # a row of labels is no class to stratify by


def test_lists_in_parquet(tmp_path: Path) -> None:
    write_images(tmp_path, FILES[:4])
    pd.DataFrame({"file": FILES[:4], "labels": SEVERAL}).to_parquet(tmp_path / "labels.parquet")
    data = ImageFolder(str(tmp_path), image_size=4, test_split=0, labels="labels.parquet")

    assert read(data) == ROWS


def test_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    write_images(tmp_path)
    data = make(tmp_path, {"file": FILES, "label": [10, 2, 9, 2, 10, 9, 2, 2]})

    assert data.class_names == ["2", "9", "10"]
    assert read(data)[0] == 2


def test_a_class_may_be_called_like_what_is_missing(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "labels.csv").write_text(
        "file,label\n" + "".join(f"{file},{name}\n" for file, name in zip(FILES, WORDS, strict=True))
    )

    data = ImageFolder(str(tmp_path), image_size=4, test_split=0, labels="labels.csv")

    assert data.class_names == ["3", "007", "NA", "None", "nan", "null"]
    assert read(data) == {number: data.class_names.index(name) for number, name in enumerate(NAMES)}
    several = ImageFolder(str(tmp_path), image_size=4, test_split=0, labels="labels.csv", separator=" ")
    assert several.class_names == data.class_names


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ({"file": FILES, "label": [None, *CLASSES[1:]]}, {}, "a label in each row of .*, got none in row 1"),
        ({"file": FILES, "label": ["a"] * 8}, {}, r"expected 2 or more classes in .*, got \['a'\]"),
        ({"file": FILES, "one": [0] * 8, "two": [3] * 8}, {}, "expected 0 or 1 in column 'two' of .*, got 3"),
        (
            {"file": FILES, "label": CLASSES},
            {"file_column": "photo"},
            "got file, label, without 'photo'; name",
        ),
        (
            {"what": FILES, "label": CLASSES},
            {},
            "columns of files and labels in .*, got what, label; name them",
        ),
        ({"file": FILES}, {}, "columns of files and labels in .*, got file; name them"),
        (
            {"file": FILES, "label": CLASSES, "split": ["val"] * 8},
            {},
            r"expected rows of train in column 'split' of .*, got \['val'\]",
        ),
    ],
)
def test_tables_that_are_not_understood_are_refused_in_one_line(
    tmp_path: Path, table: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        make(tmp_path, table, **options)
    assert "\n" not in str(caught.value)


def test_a_mark_between_labels_is_mentioned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path)
    make(tmp_path, {"file": FILES, "label": ["a|b", *"bababab"]})

    assert "a label with '|' is one class; give separator='|' for several labels" in caplog.text
