"""The example of a sequence-to-sequence model: what it writes, its numbers, and its bad input."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from letter_rule import learn, pronounce
from my_project.__main__ import main
from my_project.data.text_pairs import TextPairs
from my_project.engine.data.tables import read_table
from my_project.model import load_model, load_run
from my_project.structs import TextExample
from processes import assert_equal_runs, finish, only_run, start
from support import PROJECT
from task_runs import KILLER
from tiny_runs import column, error_of
from torchmetrics.text import WordErrorRate

CONFIG = PROJECT / "configs/examples/pronunciation.yaml"
WORDS = PROJECT / "my_project/data/syllables.csv.gz"
pytestmark = pytest.mark.skipif(not WORDS.is_file(), reason="the project has no task text")


def write_small() -> None:
    """A config of small networks and short epochs, and its 400 words."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    own = {"encoder": "SequenceEncoder", "decoder": "AttentionDecoder"}
    config["model"]["init_args"]["networks"] = {
        name: {"class_path": path, "init_args": {"width": 32}} for name, path in own.items()
    }
    config["data"]["init_args"] |= {"data_dir": "words.csv", "batch_size": 8}
    config["trainer"] |= {"max_epochs": 4, "accelerator": "cpu", "log_every_n_steps": 4}
    for options in (config["model"]["init_args"][key] for key in ("optimizer", "lr_scheduler")):
        options["init_args"] |= {"lr": 0.02} if "lr" in options["init_args"] else {"max_lr": 0.02}
    config["trainer"]["callbacks"][0]["init_args"] |= {"every_n_epochs": 2, "every_n_train_steps": 20}
    config["checkpoint"]["every_n_train_steps"] = 5
    Path("small.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    table = read_table(WORDS, verbatim=["word", "phonemes", "split"])
    table.iloc[::60].to_csv("words.csv", index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a small run, ``small``, was trained and tested."""
    folder = tmp_path_factory.mktemp("pronunciation")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_small()
        assert main(["fit", "--config=small.yaml", "--name=small"]) == 0
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return only_run("small")


def test_set(**options: Any) -> Any:
    """All test words as one batch."""
    data = TextPairs("words.csv", text="word", target="phonemes", seed=42, **options)
    test = data.load("test")["test"]
    return test[torch.arange(len(test))]


test_set.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def written(model: Any, example: TextExample) -> list[str]:
    with torch.no_grad():
        return model(example).columns(model.data.name_outputs(None))["predicted"]


def test_the_test_is_of_words_that_are_decoded_without_their_targets(run: Path) -> None:
    model, words = load_model(run / "checkpoints/best.ckpt"), test_set()
    alone = written(model, TextExample(input_ids=words.input_ids, attention_mask=words.attention_mask))
    rate = WordErrorRate()
    rate.update(alone, model(words).columns(model.data.name_outputs(None), words.target)["true"])

    assert column(run, "test/phoneme_error_rate") == pytest.approx([rate.compute().item()])
    assert len(set(alone)) > 10
    assert column(run, "train/loss")[-1] < column(run, "train/loss")[0]
    assert not column(run, "train/phoneme_error_rate")


def test_a_word_is_pronounced_alike_whatever_fills_up_the_batch(run: Path) -> None:
    model, words = load_model(run / "checkpoints/best.ckpt"), test_set()
    together = written(model, words)
    longer = {"input_ids": words.input_ids, "attention_mask": words.attention_mask}
    longer = {name: torch.nn.functional.pad(value, (0, 9)) for name, value in longer.items()}

    assert written(model, TextExample(**longer)) == together
    for row in range(0, len(words), 7):
        own = int(words.attention_mask[row].sum())
        ids, mask = words.input_ids[row, None, :own], words.attention_mask[row, None, :own]
        assert written(model, TextExample(input_ids=ids, attention_mask=mask)) == [together[row]]


def test_a_target_that_is_filled_up_has_the_same_loss(run: Path) -> None:
    model, words = load_model(run / "checkpoints/best.ckpt"), test_set()[:4]
    logits = [
        model.networks["decoder"](
            model.networks["encoder"](words.input_ids, words.attention_mask), words.attention_mask, target
        )
        for target in (words.target, torch.nn.functional.pad(words.target, (0, 5), value=-100))
    ]

    torch.testing.assert_close(logits[1][..., : words.target.shape[1]], logits[0])


def test_pictures_and_tables_show_words_with_what_was_said(run: Path) -> None:
    table = read_table(Path("words.csv"), verbatim=["word", "phonemes"])
    (file,) = run.glob("figures/test/worst/*.json")

    images = json.loads(file.read_text())["images"]

    assert len(images) == 8
    for image in images:
        true, predicted, place = image["caption"].split("\n")
        row = table.iloc[int(place.split()[0].removeprefix("#"))]
        assert true == f"true {row['phonemes']}"
        assert predicted.startswith("predicted")
    assert (run / "report.html").is_file()


def test_predict_writes_the_pronunciation_of_each_word_of_a_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(run / "checkpoints/best.ckpt", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("new.csv").write_text("word\nbanana\n\nab#c\n".replace("\n\n", '\n""\n'), encoding="utf-8")

    assert main(["predict", "best.ckpt", "new.csv", "--batch_size=2"]) == 0

    with Path("predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["text"]) for row in rows] == [
        ("new.csv:2", "banana"),
        ("new.csv:3", ""),
        ("new.csv:4", "ab#c"),
    ]
    model = load_model("best.ckpt")
    letters = model.data.extras["vocabulary"]
    ids = torch.tensor([[letters.index(letter) for letter in "banana"]])
    assert rows[0]["predicted"] == written(model, TextExample(input_ids=ids, attention_mask=ids > 0))[0]


def test_a_run_comes_back_with_its_words(run: Path) -> None:
    again = load_run(run)

    words = test_set()
    assert written(again.model, words) == written(load_model(run / "checkpoints/best.ckpt"), words)
    assert again.data.describe() == again.model.data


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--data.init_args.target=sound"],
            "expected a column 'sound' in words.csv, got 'word', 'syllables'",
        ),
        (["--data.init_args.target_vocab_size=20"], "expected target_vocab_size to be enough for all tokens"),
        (
            ["--model.init_args.prediction={sequence: logits, image: phonemes}"],
            "prediction: sequence: tokens must be (B, V)",
        ),
        (["--data=Digits"], "networks: encoder: cannot make"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    run: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--config=small.yaml", "--trainer.logger=false", *options]) == 2

    assert said in error_of(capsys)


def test_the_page_states_what_the_rules_reach() -> None:
    table = read_table(WORDS, verbatim=["word", "phonemes", "split"])
    known, asked = (table[table["split"] == split] for split in ("train", "test"))
    rule = learn([*known["word"]], [text.split() for text in known["phonemes"]], around=2)
    reached = []
    for around in (0, 2):
        rate = WordErrorRate()
        rate.update([" ".join(pronounce(word, rule, around)) for word in asked["word"]], [*asked["phonemes"]])
        reached.append(f"{rate.compute():.3f}")

    page = (PROJECT / "docs/pipelines.md").read_text(encoding="utf-8")

    assert re.findall(r"- each letter (?:alone )?says what it says most often.*?(0\.\d+)", page) == reached


@pytest.mark.faults
@pytest.mark.parametrize("step", [7, 60, 131])
def test_killed_and_resumed_it_ends_as_if_it_had_never_been(run: Path, step: int) -> None:
    Path("killer.py").write_text(KILLER)
    killing = ["--trainer.callbacks+=killer.KillAt", f"--trainer.callbacks.step={step}"]
    process = start("--config=small.yaml", f"--name=killed{step}", *killing)
    process.communicate(timeout=300)
    assert process.returncode == -9

    finish(start(f"--resume=killed{step}"))

    assert_equal_runs(run, only_run(f"killed{step}"))
