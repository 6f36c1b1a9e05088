"""The task text by its config: runs, resume, two processes, search, export, predict."""

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import my_project
import pandas as pd
import pytest
import torch
from my_project.__main__ import main
from my_project.engine.data.tables import read_table
from my_project.model import load_model
from my_project.structs import MulticlassPrediction, TextExample
from processes import DDP, assert_equal_runs, only_run
from support import axes_of
from task_runs import KILLER
from tiny_runs import rows_of

PACKAGE = Path(my_project.__file__).parent
CONFIG = PACKAGE.parent / "configs/syllables.yaml"
pytestmark = pytest.mark.skipif(not CONFIG.is_file(), reason="the project has no task text")
SMALL = [
    f"--config={CONFIG}",
    "--data.init_args.data_dir=words.csv",
    "--data.init_args.batch_size=16",
    "--model.init_args.width=16",
    "--model.init_args.depth=1",
    "--trainer.max_epochs=2",
    "--trainer.log_every_n_steps=5",
    "--trainer.logger=false",
    "--trainer.accelerator=cpu",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 600 words, in which they were trained on as the run ``whole``."""
    folder, before = tmp_path_factory.mktemp("text"), Path.cwd()
    os.chdir(folder)
    try:
        write_words(600)
        Path("killer.py").write_text(KILLER)
        assert main(["fit", *SMALL, "--name=whole"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def whole(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return only_run("whole")


def write_words(size: int) -> None:
    table = read_table(PACKAGE / "data/syllables.csv.gz", verbatim=["word", "syllables"])
    table.iloc[:: len(table) // size].head(size).to_csv("words.csv", index=False)


def run_here(*args: str, returncode: int = 0) -> str:
    command = [sys.executable, "-m", my_project.__name__, *args]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == returncode, done.stdout
    return done.stdout


def test_it_trains_tests_and_shows_the_worst_and_the_best_texts(whole: Path) -> None:
    words = pd.read_csv("words.csv", keep_default_na=False)
    rows = rows_of(whole)

    assert float(rows[-1]["test/accuracy"]) > 0
    losses = [float(row["train/loss"]) for row in rows if row.get("train/loss")]
    assert losses[-1] < losses[0]
    for name in ("worst", "best"):
        (file,) = (whole / "figures/test" / name).glob("*.json")
        for image in json.loads(file.read_text())["images"]:
            true, _, place = image["caption"].split("\n")
            row = words.iloc[int(place.split()[0].removeprefix("#"))]
            assert true == f"true {row['syllables']}"
            assert row["split"] == "test"


def test_predict_reads_raw_texts_and_needs_no_config(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(whole / "checkpoints/best.ckpt", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("some.csv").write_text("id,word\n1,null\n2,banana\n3,\n4,naïve?\n", encoding="utf-8")
    Path("some.txt").write_text("banana\n\nNULL\n", encoding="utf-8")

    found = {}
    for name in ("some.csv", "some.txt"):
        assert main(["predict", "best.ckpt", name, "--batch_size=3"]) == 0
        with Path("predictions.csv").open(encoding="utf-8") as file:
            found[name] = list(csv.DictReader(file))

    table, lines = found.values()
    assert [(row["path"], row["text"]) for row in table] == [
        ("some.csv:2", "null"),
        ("some.csv:3", "banana"),
        ("some.csv:4", ""),
        ("some.csv:5", "naïve?"),
    ]
    assert [(row["path"], row["text"]) for row in lines] == [("some.txt:1", "banana"), ("some.txt:3", "NULL")]
    names = ["path", "text", "class", "probability", "entropy", "1", "2", "3", "4", "5+"]
    assert list(table[0]) == list(lines[0]) == names
    assert float(table[1]["2"]) == pytest.approx(float(lines[0]["2"]), abs=1e-5)

    model = load_model("best.ckpt")
    letters = model.data.extras["vocabulary"]
    ids = torch.tensor([[letters.index(letter) for letter in "banana"]])
    probs = model(TextExample(input_ids=ids, attention_mask=ids > 0)).probs[0]
    assert [float(table[1][name]) for name in names[5:]] == pytest.approx(probs.tolist(), abs=1e-5)


@pytest.mark.faults
def test_killed_and_resumed_it_ends_as_if_it_had_never_been(whole: Path) -> None:
    kill = ["--trainer.callbacks+=killer.KillAt", "--trainer.callbacks.step=20"]
    run_here("fit", *SMALL, "--name=killed", "--checkpoint.every_n_train_steps=7", *kill, returncode=-9)
    run_here("fit", "--resume=killed")

    assert_equal_runs(whole, only_run("killed"))


@pytest.mark.faults
def test_two_processes_do_what_one_does_with_twice_the_batch(whole: Path) -> None:
    alike = [*SMALL, "--model.init_args.dropout=0", "--trainer.max_epochs=1"]  # each would leave out its own
    run_here("fit", *alike, "--name=one")
    run_here("fit", *alike, "--name=two", "--data.init_args.batch_size=8", *DDP)

    one, two = rows_of(only_run("one")), rows_of(only_run("two"))
    assert len(one) == len(two) > 5
    for expected, got in zip(one, two, strict=True):
        numbers = {key: float(value) for key, value in expected.items() if value}
        assert {key: float(value) for key, value in got.items() if value} == pytest.approx(
            numbers, rel=1e-3, abs=1e-4
        )


def test_it_is_exported_for_texts_of_any_number_and_length(whole: Path) -> None:
    model = load_model(whole / "checkpoints/best.ckpt").eval()
    batch, length = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("length", min=2, max=256)
    sizes = {0: batch, 1: length}
    axes = axes_of(make_batch(4, 9), input_ids=sizes, attention_mask=sizes)
    exported = torch.export.export(model, (make_batch(4, 9),), dynamic_shapes=axes).module()

    for example in (make_batch(1, 3), make_batch(7, 40)):
        prediction = exported(example)
        assert isinstance(prediction, MulticlassPrediction)
        torch.testing.assert_close(prediction.logits, model(example).logits)


def make_batch(size: int, length: int) -> TextExample:
    ids = torch.randint(2, 20, (size, length))
    lengths = torch.randint(1, length + 1, (size, 1))
    mask = torch.arange(length) < lengths
    return TextExample(input_ids=ids * mask, attention_mask=mask)


def test_another_tokenizer_of_the_same_size_is_refused(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = pd.read_csv("words.csv", keep_default_na=False)
    words["word"] = words["word"].str.translate(
        str.maketrans("eq", "qe")
    )  # now q is the most frequent letter
    words.to_csv("others.csv", index=False)
    others = "--data.init_args.data_dir=others.csv"
    capsys.readouterr()

    code = main(["test", *SMALL, others, f"--ckpt_path={whole}/checkpoints/best.ckpt"])

    assert code == 2
    assert "the data has another tokenizer than the model was" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("my_project.engine.sweep") is None, reason="the project has no engine/sweep")
@pytest.mark.faults
def test_a_search_over_the_shipped_space_finds_a_best_trial(whole: Path) -> None:
    pytest.importorskip("optuna")
    options = [option for option in SMALL if "config" not in option and "width" not in option]
    Path("sweep.yaml").write_text(
        "metric: val/loss\ndirection: minimize\nsampler: random\ntrials: 2\npruner: none\n"
        f"storage: sqlite\nbase: [{CONFIG}]\nspace:\n"
        "  model.init_args.width: [16, 32]\n"
        "  model.init_args.lr_scheduler.init_args.max_lr: {log: [1.0e-3, 1.0e-2]}\n"
        "  model.init_args.optimizer.init_args.weight_decay: {log: [1.0e-5, 1.0e-2]}\n"
    )

    assert main(["sweep", "--config=sweep.yaml", *options, "--trainer.max_epochs=1"]) == 0

    assert Path("runs/sweeps/sweep/best.yaml").is_file()
