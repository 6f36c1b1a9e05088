from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from my_project.engine.errors import InputError
from my_project.engine.texts import read_batches, read_corpus

PAIRS = [("null", "01"), ("a, b", "2"), ("NA", "NA"), ("two\nlines", "2")]


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def batches(path: Path, **options: Any) -> tuple[list[str], list[str]]:
    given: dict[str, Any] = {"batch_size": 2, "on_error": "raise", "skipped": Path("skipped.txt"), **options}
    names, texts = [], []
    for some_names, some_texts in read_batches(path, "text", **given):
        assert 0 < len(some_names) == len(some_texts) <= given["batch_size"]
        names += some_names
        texts += some_texts
    return names, texts


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.csv.gz"])
def test_cells_are_texts_as_they_stand(name: str) -> None:
    table = pd.DataFrame(PAIRS, columns=["text", "label"])
    if name == "t.parquet":
        table.to_parquet(name)
    else:
        table.to_csv(name, index=False, sep="\t" if name == "t.tsv" else ",")

    corpus = read_corpus(Path(name), "text", "label")

    assert corpus.texts == [text for text, _ in PAIRS]
    assert corpus.labels == [label for _, label in PAIRS]
    assert corpus.class_names == ["01", "2", "NA"]
    assert corpus.splits is None
    assert batches(Path(name))[1] == corpus.texts


def test_a_column_of_splits_is_used_in_any_usual_spelling(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rows = "text,label,split,fold\na,x,train,test\nb,y,Valid,train\nc,x,test,train\n"
    file = write("t.csv", rows)

    assert read_corpus(file, "text", "label").splits == ["train", "val", "test"]
    assert caplog.messages == ["splits: Valid is val"]
    assert read_corpus(file, "text", "label", "fold").splits == ["test", "train", "train"]


def test_a_folder_may_hold_a_table_for_each_split() -> None:
    write("set/train.csv", "text,label\na,x\nb,y\n")
    write("set/validation.tsv", "label\ttext\nx\tc\n")
    write("set/notes.md", "no table")

    corpus = read_corpus(Path("set"), "text", "label")

    assert corpus.texts == ["a", "b", "c"]
    assert corpus.labels == ["x", "y", "x"]
    assert corpus.splits == ["train", "train", "val"]
    write("set/training.csv", "text,label\n")
    with pytest.raises(InputError, match=r"one table of train, got set/train.csv and set/training.csv"):
        read_corpus(Path("set"), "text", "label")


def test_a_folder_for_each_class_leaves_out_what_is_hidden_or_no_text() -> None:
    for split in ("train", "test"):
        for label in ("no", "yes"):
            write(f"set/{split}/{label}/deep/1.txt", f"{label} {split}")
    write("set/train/no/.hidden/2.txt", "hidden")
    write("set/train/no/picture.png", "no text")
    write("set/train/.cache/2.txt", "hidden")

    corpus = read_corpus(Path("set"), "text", "label")

    assert corpus.texts == ["no test", "yes test", "no train", "yes train"]
    assert corpus.splits == ["test", "test", "train", "train"]
    below = read_corpus(Path("set/train"), "text", "label")
    assert (below.labels, below.splits) == (["no", "yes"], None)


def test_empty_texts_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    corpus = read_corpus(
        write("t.csv", "text,label,split\na,x,train\n ,x,test\n,y,test\nb,y,val\n"), "text", "label"
    )

    assert (corpus.texts, corpus.labels, corpus.splits) == (["a", "b"], ["x", "y"], ["train", "val"])
    assert caplog.messages == ["left out 2 of 4 texts that are empty, such as t.csv:3"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\na,x\nb,\n", r"a label for each text, got none in t.csv:3"),
        ("text,label\na,x\nb,x\n", r"2 or more classes in t.csv, got \['x'\]"),
        ("words,label\na,x\n", r"a column 'text' in t.csv, got 'words', 'label'"),
        ("text,label,split\na,x,train\nb,y,later\n", r"train, val or test as split, got 'later' in t.csv:3"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_place(content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_corpus(write("t.csv", content), "text", "label")


def test_a_layout_that_is_not_understood_is_described() -> None:
    write("set/a.md", "")
    with pytest.raises(InputError, match=r"expected set/train.csv, set/train/<class>/\*.txt or .* got a.md"):
        read_corpus(Path("set"), "text", "label")
    with pytest.raises(InputError, match=r"no such file: gone.csv"):
        read_corpus(Path("gone.csv"), "text", "label")
    with pytest.raises(InputError, match=r"a column 'fold' in t.csv, got none"):
        read_corpus(write("t.csv", "text,label\na,x\nb,y\n"), "text", "label", "fold")


def test_to_predict_a_line_a_row_and_a_file_are_a_text_each() -> None:
    lines = write("lines.txt", "first\n\n  \nfourth, with a comma\n")
    rows = write("rows.csv", "id,text\n7,a\n8,\n9,null\n")
    write("folder/b.txt", "b\nb")
    write("folder/a/1.txt", "a")

    assert batches(lines) == (["lines.txt:1", "lines.txt:4"], ["first", "fourth, with a comma"])
    assert batches(rows) == (["rows.csv:2", "rows.csv:3", "rows.csv:4"], ["a", "", "null"])
    assert batches(Path("folder")) == (["folder/a/1.txt", "folder/b.txt"], ["a", "b\nb"])


def test_bytes_that_are_no_text_are_refused_or_skipped_and_listed() -> None:
    write("folder/a.txt", "a")
    Path("folder/b.txt").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InputError, match=r"UTF-8 text in folder/b.txt, got invalid start byte \(byte 0\)"):
        batches(Path("folder"))
    assert batches(Path("folder"), on_error="skip") == (["folder/a.txt"], ["a"])
    assert Path("skipped.txt").read_text() == "folder/b.txt\n"
    with pytest.raises(InputError, match=r"expected texts in empty.txt, got none"):
        batches(write("empty.txt", "\n"))
    with pytest.raises(InputError, match=r"no such file: gone.txt"):
        batches(Path("gone.txt"))
