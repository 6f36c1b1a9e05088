import json
import math
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from my_project.engine.report.run_data import read_run

HEAD = "step,train/loss_step,lr,epoch,val/loss,val/accuracy,train/loss,test/accuracy\r\n"
ROWS = (
    "9,2.5,0.1,0,,,,\r\n9,,,0,1.5,0.4,,\r\n19,1.25,0.2,1,,,,\r\n19,,,1,0.5,0.75,,\r\n29,,,2,0.5,0.7,0.9,\r\n"
)
STARTED = "2026-01-02T03:04:05+0000"
ENDED = datetime.fromisoformat(STARTED).timestamp() + 90
CONFIG = "trainer:\n  max_epochs: 3\ncheckpoint:\n  monitor: val/loss\n  mode: min\n"


def make_run(run: Path, **files: str) -> Path:
    run.mkdir(exist_ok=True)
    names = {"config": "config.yaml", "starts": "run.json", "metrics": "metrics.csv"}
    for kind, text in files.items():
        (run / names[kind]).write_text(text, newline="")
    return run


def fit(**more: Any) -> str:
    return json.dumps([{"stage": "fit", "started": STARTED, "command": "train", **more}])


def test_an_empty_folder_is_a_run_without_anything(tmp_path: Path) -> None:
    run = read_run(tmp_path)

    assert run["name"] == tmp_path.name
    assert run["curves"] == run["results"] == run["config"] == {}
    assert run["files"] == []
    assert not any(run["texts"].values())


def test_results_are_those_of_the_first_best_step_and_the_last_ones(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, config=CONFIG, metrics=HEAD + ROWS + "20,,,9,,,,0.9\r\n"))

    assert run["best_step"] == 19
    assert run["results"]["val/loss"] == (0.5, 0.5)
    assert run["results"]["val/accuracy"] == (0.75, 0.7)
    assert run["results"]["test/accuracy"] == (0.9, 0.9)
    assert run["curves"]["train/loss_step"] == [(9, 2.5), (19, 1.25)]
    assert "epoch" not in run["curves"]


def test_classes_stand_in_the_order_of_their_counts(tmp_path: Path) -> None:
    counts = {"bee": 0, "cat": 3, "ant": 2}
    run = read_run(make_run(tmp_path, starts=fit(class_counts=counts, majority_accuracy=0.25)))

    assert run["classes"] == [("cat", 3), ("ant", 2), ("bee", 0)]
    assert run["majority"] == 0.25
    run = read_run(make_run(tmp_path, starts=fit()))
    assert run["classes"] == []
    assert run["majority"] is None


def test_epochs_are_counted_by_rows_of_training(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, config=CONFIG, metrics=HEAD + ROWS + "20,,,9,,,,0.9\r\n"))

    assert run["epoch_starts"] == [9, 19, 29]
    assert (run["epoch"], run["max_epochs"]) == (3, "3")


@pytest.mark.parametrize("half", ["29", "29,0.7", '29,"0.7', "x,1,1,1,1,1,1,1\r\n", ",,\r\n"])
def test_a_row_that_is_not_whole_is_left_out(tmp_path: Path, half: str) -> None:
    whole = read_run(make_run(tmp_path, metrics=HEAD + ROWS))["curves"]

    assert read_run(make_run(tmp_path, metrics=HEAD + ROWS + half))["curves"] == whole


def test_values_that_are_not_finite_are_counted_apart(tmp_path: Path) -> None:
    rows = "1,3,,0,,,,\r\n2,nan,,0,,,,\r\n3,inf,,0,,,,\r\n4,-inf,,0,nan,,,\r\n"
    run = read_run(make_run(tmp_path, config=CONFIG, metrics=HEAD + rows))

    assert run["curves"]["train/loss_step"] == [(1, 3.0)]
    assert run["lost"] == {"train/loss_step": [2, 3, 4], "val/loss": [4]}
    assert "val/loss" not in run["curves"]
    assert run["best_step"] is None


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "[]", "5", "null", '"x"', '[5, null, {"stage": 3}]'])
def test_a_half_written_record_or_config_does_no_harm(tmp_path: Path, text: str) -> None:
    run = read_run(make_run(tmp_path, config=text, starts=text, metrics=text))

    assert run["started"] == ""


def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    config = "a: {api_key: S3CRET, hf_token: S3CRET, num_tokens: 7}\nurl: https://me:S3CRET@example.org/x\n"
    command = "train --logger.api_key=S3CRET --token S3CRET '--x.password=S3 S3CRET' --lr=3"
    command += """ '--y={"secret_key": "S3CRET"}'"""

    run = read_run(make_run(tmp_path, config=config, starts=fit(command=command, wandb_token="S3CRET")))

    assert "S3CRET" not in json.dumps(run)
    assert run["config"]["a.num_tokens"] == "7"
    assert "--lr=3" in run["texts"]["Newest start"]


def test_changed_files_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, starts=fit(git={"changes": " M a.py\n?? b.py"})))

    assert "  - ' M a.py'\n  - ?? b.py\n" in run["texts"]["Newest start"]


@pytest.mark.parametrize(
    ("starts", "metrics", "age_s", "state"),
    [
        (fit(), HEAD + ROWS, 0, "finished"),
        (fit(), HEAD + "9,2.5,0.1,0,,,,\r\n", 0, "running"),
        (fit(), HEAD + "9,2.5,0.1,0,,,,\r\n", 3600, "stopped"),
        (fit(outcome="interrupted"), HEAD + ROWS, 0, "interrupted"),
        (fit(), "", 0, "running"),
    ],
)
def test_the_state_is_what_the_folder_tells(
    tmp_path: Path, starts: str, metrics: str, age_s: float, state: str
) -> None:
    run = make_run(tmp_path, config=CONFIG, starts=starts, metrics=metrics)
    for path in run.iterdir():
        os.utime(path, (time.time() - age_s, time.time() - age_s))

    assert read_run(run)["state"] == state


def test_the_duration_ends_with_the_last_checkpoint_or_with_what_is_recorded(tmp_path: Path) -> None:
    run = make_run(tmp_path, starts=fit(), metrics=HEAD + ROWS)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    os.utime(run / "checkpoints" / "last.ckpt", (ENDED, ENDED))

    assert math.isclose(read_run(run)["duration_s"], 90)

    make_run(tmp_path, starts=fit(ended="2026-01-02T03:05:05+0000"))
    assert math.isclose(read_run(run)["duration_s"], 60)


def test_files_are_listed_with_the_newest_table_of_each_key(tmp_path: Path) -> None:
    run = make_run(tmp_path, config=CONFIG, metrics=HEAD)
    for name in ("checkpoints/best.ckpt", "tables/val/a/step-00000001.csv", "tables/val/a/step-00000002.csv"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()

    files = read_run(run)["files"]
    assert files == ["config.yaml", "metrics.csv", "checkpoints/best.ckpt", "tables/val/a/step-00000002.csv"]


STAGED = (
    "step,stage,train/loss,epoch,val/loss\r\n9,1,2.5,0,\r\n9,1,,0,0.1\r\n19,1,2.0,1,\r\n19,1,,1,0.2\r\n"
    "29,2,1.5,0,\r\n29,2,,0,0.4\r\n39,2,1.0,1,\r\n39,2,,1,0.3\r\n"
)


def test_of_a_run_in_stages_epochs_and_the_best_one_are_of_the_last(tmp_path: Path) -> None:
    (tmp_path / "stages.yaml").write_text("stages: [{name: body}, {name: head}, {name: later}]\n")
    run = read_run(make_run(tmp_path, config=CONFIG, metrics=STAGED))

    assert run["stages"] == [("body", 0), ("head", 20)]
    assert run["epoch_starts"] == [9, 19, 29, 39]
    assert (run["epoch"], run["best_step"]) == (2, 39)
    assert "stage" not in run["curves"]


def test_what_an_earlier_stage_measured_is_no_result_of_the_last(tmp_path: Path) -> None:
    """Its curves stay, and its tests."""
    (tmp_path / "stages.yaml").write_text("stages: [{name: draw}, {name: name}]\n")
    rows = "9,1,2.5,0,0.1,,\r\n9,1,,0,0.1,3,\r\n10,1,,1,,,5\r\n19,2,1.5,0,,,\r\n19,2,,0,0.4,,\r\n"
    head = "step,stage,train/loss,epoch,val/loss,val/loss_pixels,test/loss_pixels\r\n"
    run = read_run(make_run(tmp_path, config=CONFIG, metrics=head + rows))

    assert run["results"] == {"val/loss": (0.4, 0.4), "test/loss_pixels": (5, 5)}
    assert run["curves"]["val/loss_pixels"] == [(9, 3)]


def test_the_duration_is_that_of_all_stages_that_ended(tmp_path: Path) -> None:
    (tmp_path / "stages.yaml").write_text("stages: [{name: draw}, {name: name}]\n")
    times = [("03:00:00", "03:01:00"), ("03:01:00", None), ("03:05:00", "03:05:30")]
    starts = [
        {"stage": "fit", "started": f"2026-01-02T{began}+0000"}
        | ({"ended": f"2026-01-02T{end}+0000"} if end else {})
        for began, end in times
    ]
    run = read_run(make_run(tmp_path, starts=json.dumps(starts), metrics=STAGED))

    assert run["started"] == "2026-01-02T03:00:00+0000"
    assert math.isclose(run["duration_s"], 90)


def test_a_run_without_stages_has_none(tmp_path: Path) -> None:
    assert read_run(make_run(tmp_path, config=CONFIG, metrics=HEAD + ROWS))["stages"] == []
