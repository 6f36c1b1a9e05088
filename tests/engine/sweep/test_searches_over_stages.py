"""A search over options of the stages of a config."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from my_project.__main__ import main
from my_project.engine.sweep.plan import Plan
from my_project.engine.sweep.prepare import complete_plan
from my_project.engine.sweep.trial import can_go_on, find_logged_keys
from sweep_support import SMALL, MakeSweep

RATE = "stages.second.change.model.init_args.optimizer.init_args.lr"
STAGES: list[dict[str, Any]] = [
    {"name": "first", "until": {"epochs": 1}},
    {
        "name": "second",
        "change": {"model": {"init_args": {"optimizer": {"init_args": {"momentum": 0.9}}}}},
        "until": {"epochs": 2},
    },
]


@pytest.fixture
def base() -> str:
    """A config with two stages."""
    config: dict[str, Any] = deepcopy(SMALL)
    config["data"]["init_args"]["batch_size"] = 512
    Path("staged.yaml").write_text(json.dumps({**config, "stages": STAGES}))
    return "staged.yaml"


def losses_of(run: Path) -> list[float]:
    """In validation, after each epoch."""
    lines = (run / "metrics.csv").read_text().splitlines()
    place = lines[0].split(",").index("val/loss")
    return [float(value) for line in lines[1:] if (value := line.split(",")[place])]


def test_a_grid_over_an_option_of_a_stage(
    base: str, make_sweep: MakeSweep, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command at its end repeats the best trial."""
    config = make_sweep(base=[base], space={RATE: [1e-5, 0.05], "stages.first.until.epochs": 2})

    assert main(["sweep", "--config", config, "--workers=2"]) == 0
    said = capfd.readouterr().err
    study = Path("runs/sweeps/small")
    runs = [study / "trial-0000", study / "trial-0001"]
    losses = [losses_of(run) for run in runs]
    assert [len(one) for one in losses] == [4, 4], "two epochs of two stages"
    assert losses[0][:2] == losses[1][:2], "the first stage is not searched"
    assert losses[1][-1] < losses[0][-1]
    rates = [
        yaml.safe_load((run / "config.yaml").read_text())["model"]["init_args"]["optimizer"] for run in runs
    ]
    assert [(one["init_args"]["lr"], one["init_args"]["momentum"]) for one in rates] == [
        (1e-5, 0.9),
        (0.05, 0.9),
    ]
    (command,) = re.findall(r"^again: python -m my_project (.+)$", said, re.M)
    assert f"best: trial 1  val/loss {losses[1][-1]:.6g}" in said
    assert not (study / "best.yaml").exists()

    assert main(["sweep", "best", "--print_config"]) == 2
    assert "expected a study without stages for --print_config; again: " in capfd.readouterr().err
    assert main([*shlex.split(command), "--name=again"]) == 0
    (again,) = Path("runs").glob("*-again")
    assert losses_of(again) == losses[1]


@pytest.mark.faults
def test_a_killed_search_goes_on_in_the_stage_where_it_stopped(base: str, make_sweep: MakeSweep) -> None:
    """Trials are killed with it, one of them at the end of its first stage or after it."""
    config = make_sweep(base=[base], space={RATE: [0.01, 0.05]})
    command = [sys.executable, "-m", "my_project", "sweep", "--config", config]
    assert subprocess.run([*command, "--name=whole"], check=False).returncode == 0
    process = subprocess.Popen([*command, "--name=killed"], start_new_session=True)
    moved = Path("runs/sweeps/killed/trial-0001/stages/first/checkpoints/last.ckpt")
    while not moved.is_file():
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(2)  # what it started ends with it

    assert subprocess.run([*command, "--name=killed"], check=False).returncode == 0
    for number in range(2):
        whole, killed = (Path(f"runs/sweeps/{name}/trial-{number:04d}") for name in ("whole", "killed"))
        assert losses_of(killed) == losses_of(whole)
        assert len(losses_of(whole)) == 3
    text = (moved.parents[3] / "log.txt").read_text()
    assert text.count("stage 1 of 2, first") == 1


def test_what_the_last_stage_logs_can_be_searched_for(base: str) -> None:
    options = [
        f"--config={base}",
        "--stages.second.change.model.init_args.metrics={top2: {class_path: Accuracy}}",
    ]

    assert {"val/loss", "val/top2"} <= set(find_logged_keys(options))


@pytest.mark.parametrize("place", ["checkpoints/last.ckpt", "stages/first/checkpoints/last.ckpt", None])
def test_a_trial_goes_on_where_a_stage_has_ended(tmp_path: Path, place: str | None) -> None:
    for name in ("config.yaml", *([place] if place else [])):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert can_go_on(tmp_path) is (place is not None)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"stages.secnd.until.epochs": [1, 2]}, "expected the name of a stage and a key, got others"),
        ({"stages.second.until.epoch": [1, 2]}, "second, until: expected a key that exists, got 'epoch'"),
        (
            {"stages.second.until.epochs": [1, "two"]},
            "space: stages.second.until.epochs stage second: expected a number of epochs of at least 1, got",
        ),
        (
            {"stages.second.change.model.init_args.widht": [1, 2]},
            "stage second: model: no such option: 'widht'",
        ),
        ({"stages.second.name.first": [1]}, "expected keys and values under name, got 'second'"),
    ],
)
def test_an_option_of_a_stage_that_cannot_be_is_refused(
    base: str, make_sweep: MakeSweep, capsys: pytest.CaptureFixture[str], space: dict[str, Any], message: str
) -> None:
    assert main(["sweep", "--config", make_sweep(base=[base], space=space)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not Path("runs").exists()


def test_the_length_of_trials_in_stages_is_left_open(base: str) -> None:
    """A pruner finds it out; without stages it is known."""

    def complete(config: str) -> Plan:
        objectives = {"val/loss": "minimize"}
        plan = {
            "sampler": "grid",
            "num_trials": 1,
            "pruner": "none",
            "storage": "sqlite",
            "space": {"num_threads": 1},
        }
        return complete_plan(
            Plan(name="a", folder="", fit=[f"--config={config}"], objectives=objectives, **plan),
            num_workers=1,
        )

    Path("plain.yaml").write_text(json.dumps(SMALL))
    assert [complete(config).num_epochs for config in (base, "plain.yaml")] == [None, 2]
    assert [complete(config).in_stages for config in (base, "plain.yaml")] == [True, False]
