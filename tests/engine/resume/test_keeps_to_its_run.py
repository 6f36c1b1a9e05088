"""A resume goes on with the run that it names, ends where that ended, and is refused where it must be."""

import csv
import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.engine.resume.load import load_checkpoint
from support import CONFIG

BASE: dict[str, Any] = deepcopy(CONFIG) | {"test_after_fit": True}
BASE["trainer"] |= {"max_epochs": 2, "limit_train_batches": 1.0}
BASE["data"]["init_args"] |= {"batch_size": 8, "num_train": 40}


def fit(*options: str, **trainer: Any) -> int:
    config = deepcopy(BASE)
    config["trainer"] |= trainer
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return main(["fit", "--config=config.yaml", "--name=one", *options])


def run() -> Path:
    (folder,) = Path("runs").iterdir()
    return folder


def rows() -> list[dict[str, str]]:
    with (run() / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def rows_of_tests() -> list[dict[str, str]]:
    return [row for row in rows() if row["test/loss"]]


@pytest.mark.parametrize(
    ("trainer", "by"),
    [
        ({"max_epochs": 2}, "max_epochs=2; to continue, raise --trainer.max_epochs, or start"),
        ({"max_steps": 7, "max_epochs": -1}, "max_steps=7; to continue, raise --trainer.max_steps, or start"),
        (
            {
                "max_epochs": 9,
                "callbacks": [
                    {
                        "class_path": "EarlyStopping",
                        "init_args": {"monitor": "val/loss", "mode": "max", "patience": 1},
                    }
                ],
            },
            "an early stop after epoch ",
        ),
        (
            {"max_time": "00:00:00:01", "max_epochs": 100_000},
            "max_time; to continue, raise --trainer.max_time",
        ),
    ],
    ids=["epochs", "steps", "early", "time"],
)
def test_a_run_that_ended_is_not_trained_on(
    trainer: dict[str, Any], by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(**trainer) == 0
    before = rows()
    last = load_checkpoint(run() / "checkpoints/last.ckpt")
    capsys.readouterr()

    for _ in range(2):
        assert main(["fit", "--resume=one"]) == 0
        assert f"nothing to train: the run was ended by {by}" in capsys.readouterr().err
    assert rows() == before
    assert len(rows_of_tests()) == 1
    assert load_checkpoint(run() / "checkpoints/last.ckpt")["step"] == last["step"]


def test_the_last_steps_are_validated() -> None:
    assert fit(max_steps=7, max_epochs=-1) == 0

    of_steps = [row["train/loss_step"] for row in rows() if row["train/loss_step"]]
    assert len(set(of_steps)) == len(of_steps), "no value stands for two windows"
    validated = [int(row["step"]) for row in rows() if row["val/loss"]]
    assert validated == [4, 6]  # by the number of the step, from 0
    assert load_checkpoint(run() / "checkpoints/last.ckpt")["step"] == 7


def test_killed_between_training_and_test_it_is_tested_once() -> None:
    assert fit() == 0
    expected = rows()
    path = run() / "metrics.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert not rows_of_tests()

    assert main(["fit", "--resume=one"]) == 0
    assert rows() == expected


def test_a_longer_resume_tests_the_checkpoint_that_is_best_then() -> None:
    assert fit() == 0
    (first,) = rows_of_tests()
    assert main(["fit", "--resume=one", "--trainer.max_epochs=6"]) == 0

    checkpoint = load_checkpoint(run() / "checkpoints/best.ckpt")
    assert int(first["step"]) in (4, 5, 9, 10)
    assert int(rows_of_tests()[-1]["step"]) == checkpoint["step"]
    assert len(rows_of_tests()) == 1 + (checkpoint["step"] != int(first["step"]))


@pytest.mark.parametrize("how", ["moved", "copied", "by its whole path"])
def test_the_best_score_belongs_to_the_folder_wherever_it_lies(how: str) -> None:
    assert fit("--checkpoint.mode=max", "--trainer.max_epochs=1") == 0
    folder = run()
    path = folder / "checkpoints/best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    name = next(name for name in checkpoint["callbacks"] if name.startswith("Checkpoints"))
    last = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    for score in ("best_model_score", "current_score"):
        last["callbacks"][name][score] = torch.tensor(1e9)  # nothing can beat it
    last["callbacks"][name]["best_k_models"] = {
        key: torch.tensor(1e9) for key in last["callbacks"][name]["best_k_models"]
    }
    last["callbacks"][name]["kth_value"] = torch.tensor(1e9)
    torch.save(last, folder / "checkpoints/last.ckpt")
    before = path.read_bytes()
    place = {"moved": Path("elsewhere/run"), "copied": Path("elsewhere/run")}.get(how, folder.resolve())
    if how == "moved":
        shutil.move(folder, place)
    elif how == "copied":
        shutil.copytree(folder, place)

    assert main(["fit", f"--resume={place}", "--trainer.max_epochs=3"]) == 0
    assert (place / "checkpoints/best.ckpt").read_bytes() == before
    assert (place / "checkpoints/last.ckpt").read_bytes() != before


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--data.init_args.batch_size=4", "the batch_size of the interrupted run, 8, got 4"),
        ("--data.init_args.num_train=48", "the train set of the interrupted run, 36 examples ("),
        ("--data.init_args.val_split=0.2", "the train set of the interrupted run, 36 examples ("),
        ("--seed_everything=7", "the seed of the interrupted run, 42, got 7"),
    ],
)
def test_another_run_is_not_gone_on_with(option: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit() == 0
    before, config = rows(), (run() / "config.yaml").read_text()
    capsys.readouterr()

    assert main(["fit", "--resume=one", option, "--trainer.max_epochs=3"]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "fit --init_from RUN" in said
    assert rows() == before
    assert (run() / "config.yaml").read_text() == config


def test_what_a_run_is_stands_in_its_description() -> None:
    assert fit() == 0
    facts = json.loads((run() / "run.json").read_text())[0]["facts"]
    assert facts["batch_size"] == 8
    assert facts["number of processes"] == 1
    assert facts["train set"].startswith("36 examples (")
    assert load_checkpoint(run() / "checkpoints/last.ckpt")["callbacks"]["Continuation"] == facts


def test_a_device_is_kept_as_its_name() -> None:
    average = {"class_path": "EMAWeightAveraging", "init_args": {"device": "cpu"}}
    assert fit(callbacks=[average]) == 0
    assert "device: cpu" in (run() / "config.yaml").read_text()
    assert main(["fit", "--resume=one", "--trainer.max_epochs=3"]) == 0
