"""Whole searches on the digits."""

import csv
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import torch
import yaml
from my_project.__main__ import main as run
from my_project.engine.cli.console import plain_output
from my_project.engine.errors import InputError
from my_project.engine.sweep import worker
from my_project.engine.sweep.command import find_study
from my_project.engine.sweep.coordinator import deal_gpus
from my_project.engine.sweep.page import write_page
from my_project.engine.sweep.plan import Plan, load_plan, read_config
from my_project.engine.sweep.prepare import complete_plan, num_devices
from my_project.engine.sweep.results import Row, read_rows, short_names, write_best
from my_project.engine.sweep.study import Study
from my_project.engine.sweep.table import LiveTable
from my_project.model.resnet import ResNet
from sweep_support import LR, WIDTH, MakePlan, MakeSweep
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def prepare(config: str, *fit: str) -> Study:
    """A study as ``sweep`` makes it, without processes."""
    arguments, base = read_config(Path(config))
    configs = [f"--config={path}" for path in base]
    plan = complete_plan(Plan(name="small", folder="", fit=[*configs, *fit], **arguments), num_workers=2)
    study = Study(plan, create=True)
    study.enqueue()
    plan.save()
    return study


def search(study: Study) -> list[Row]:
    """Run all trials in this process."""
    with plain_output():
        worker.work(study.plan, datetime.min)
    return read_rows(study)


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_grid_of_four_by_two_workers_ends_with_the_command_that_repeats_the_best(
    make_sweep: MakeSweep, capfd: pytest.CaptureFixture[str]
) -> None:
    config = make_sweep()
    assert run(["sweep", "--config", config, "--dry_run"]) == 0
    points = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert points == [{WIDTH: width, LR: lr} for width in (2, 4) for lr in (0.01, 0.1)]
    assert not Path("runs").exists()

    assert run(["sweep", "--config", config, "--workers=2", "--trainer.default_root_dir=out"]) == 0

    folder = Path("out/sweeps/small")
    rows = table_of(folder)
    assert [{WIDTH: int(row[WIDTH]), LR: float(row[LR])} for row in rows] == points
    assert {row["state"] for row in rows} == {"complete"}
    said = capfd.readouterr().err
    assert len(re.findall(r"^trial +\d  complete  val/loss", said, re.MULTILINE)) == 4
    command = re.search(r"^again: python -m \w+ (fit --config .+)$", said, re.M)
    best = min(rows, key=lambda row: float(row["val/loss"]))
    assert f"best: trial {best['number']}" in said
    assert command is not None

    assert run([*command[1].split(), "--name=again", "--trainer.default_root_dir=again"]) == 0
    (again,) = Path("again").glob("*-again/metrics.csv")
    with again.open() as file:
        losses = [row["val/loss"] for row in csv.DictReader(file) if row["val/loss"]]
    assert losses[-1] == best["val/loss"]

    assert run(["sweep", "best", "--runs=out", "--print_config"]) == 0
    resolved = yaml.safe_load(capfd.readouterr().out)
    assert resolved["model"]["init_args"]["width"] == int(best[WIDTH])
    assert run(["sweep", "status", "small", "--runs=out"]) == 0
    assert "study small: 4 trials, 4 complete" in capfd.readouterr().out
    assert run(["predict", str(folder / "trial-0002"), "nowhere"]) == 2


def test_six_random_trials_cover_the_decades_and_train_at_the_rates_that_are_recorded(
    make_sweep: MakeSweep,
) -> None:
    config = make_sweep(sampler="random", trials=6, space={LR: {"log": [1e-5, 1e-1]}, WIDTH: 2})
    study = prepare(config, "--trainer.max_epochs=1")

    rows = search(study)

    rates = [row.params[LR] for row in rows]
    assert [row.state for row in rows] == ["complete"] * 6
    assert len(set(rates)) == 6
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    assert min(rates) < 1e-3 < max(rates)
    config_of = [yaml.safe_load((row.run / "config.yaml").read_text()) for row in rows]
    assert [one["model"]["init_args"]["optimizer"]["init_args"]["lr"] for one in config_of] == rates
    events = EventAccumulator(str(rows[3].run / "tensorboard")).Reload()
    assert "_hparams_/session_start_info" in events.summary_metadata
    study.close()


def test_eight_trials_of_tpe_with_pruning_stop_the_bad_ones_early(make_sweep: MakeSweep) -> None:
    space = {LR: {"log": [1e-6, 0.3]}, WIDTH: [2, 4]}
    config = make_sweep(sampler="tpe", trials=8, pruner="asha", space=space)
    study = prepare(config, "--trainer.max_epochs=4")

    rows = search(study)

    assert len(rows) == 8
    assert {row.state for row in rows} == {"complete", "pruned"}
    pruned = next(row for row in rows if row.state == "pruned")
    lines = (pruned.run / "metrics.csv").read_text().splitlines()
    complete = next(row for row in rows if row.state == "complete")
    assert len(lines) < len((complete.run / "metrics.csv").read_text().splitlines())
    assert (pruned.run / "checkpoints" / "last.ckpt").exists()
    page = write_page(study, rows, write_best(study)).read_text()
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    study.close()


def test_a_trial_that_fails_is_recorded_and_the_others_go_on(
    make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(model: ResNet) -> None:
        if model.trainer.max_epochs == 3:
            raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(ResNet, "on_train_epoch_end", explode)
    rates = [0.1, 1e30]
    study = prepare(make_sweep(space={LR: rates, "trainer.max_epochs": [2, 3]}))

    rows = search(study)

    assert [row.state for row in rows] == ["complete", "failed", "failed", "failed"]
    assert rows[1].reason == "out of memory"
    assert rows[2].reason.startswith("expected a finite loss, got")
    assert "explode" in (rows[1].run / "log.txt").read_text()
    assert write_best(study)[0].number == 0
    study.close()


def test_failures_in_a_row_stop_a_study(make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(worker, "fit", explode)
    study = prepare(make_sweep(space={LR: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}))

    rows = search(study)

    assert [row.state for row in rows] == ["failed"] * 5 + ["waiting"] * 2
    assert worker.failed_in_a_row(study, datetime.min) == "broken"
    assert worker.failed_in_a_row(study, datetime.now()) is None, "the next command tries the others"
    study.close()


def test_an_interrupted_trial_goes_on_from_its_checkpoint(
    make_sweep: MakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(model: ResNet) -> None:
        if model.current_epoch == 2:
            raise KilledError

    study = prepare(make_sweep(space={LR: 0.1}), "--trainer.max_epochs=4")
    with monkeypatch.context() as patch:
        patch.setattr(ResNet, "on_train_epoch_start", die)
        with pytest.raises(KilledError):
            search(study)
    assert [row.state for row in read_rows(study)] == ["running"]
    whole = prepare(make_sweep(space={LR: 0.1}), "--trainer.max_epochs=4", "--trainer.default_root_dir=whole")

    rows, expected = search(study), search(whole)

    assert [row.state for row in rows] == ["complete"]
    assert [row.values for row in rows] == [row.values for row in expected]
    assert (rows[0].run / "log.txt").read_text().count("epoch 1/4") == 1
    study.close()
    whole.close()


def test_several_objectives_give_the_trials_that_no_other_one_beats(make_sweep: MakeSweep) -> None:
    metric = [{"metric": "val/loss"}, {"metric": "val/accuracy", "direction": "maximize"}]
    study = prepare(make_sweep(metric=metric, space={LR: [1e-4, 0.1]}))

    rows = search(study)
    best = write_best(study)

    assert all(len(row.values) == 2 for row in rows)
    pareto = {
        row.number
        for row in rows
        if not any(
            other.values[0] <= row.values[0]
            and other.values[1] >= row.values[1]
            and other.values != row.values
            for other in rows
        )
    }
    assert {row.number for row in best} == pareto
    assert best[0].values[0] == min(row.values[0] for row in rows)
    assert (study.plan.root / "best.yaml").read_text() == (best[0].run / "config.yaml").read_text()
    study.close()


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ({"space": {"model.init_args.widht": [1, 2]}}, [], "space: model: no such option"),
        ({"space": {"modle.width": [1, 2]}}, [], "no such option: 'modle.width'"),
        ({"space": {WIDTH: [2, "wide"]}}, [], f"space: {WIDTH} model: width: expected int"),
        ({"space": {WIDTH: []}}, [], "at least one choice, got an empty list"),
        ({"space": {WIDTH: [1]}, "base": ["nowhere.yaml"]}, [], "nowhere.yaml; see configs/"),
        ({}, ["--modle=X"], "no such option: 'modle'"),
        ({}, [f"--{WIDTH}=3"], f"expected {WIDTH} in the space or on the command line, got it in both"),
        ({}, ["--workers=0"], "expected at least one worker, got 0"),
        ({}, ["--workers=two"], "argument --workers: invalid int value"),
        ({}, ["--name=../x"], "choose another --name"),
        ({"sampler": "random", "trials": 3}, ["--dry_run"], "expected sampler: grid for --dry_run"),
        (
            {"metric": "val/los"},
            [],
            "metric: expected a logged key, got 'val/los'; there are val/accuracy, val/loss",
        ),
        ({}, ["--data.init_args.batch_size=0"], "expected a first trial that can be trained, got: "),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    make_sweep: MakeSweep,
    capsys: pytest.CaptureFixture[str],
    keys: dict[str, Any],
    options: list[str],
    message: str,
) -> None:
    assert run(["sweep", "--config", make_sweep(**keys), *options]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", ["status", "best"])
def test_says_which_studies_there_are(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", command, "nope"]) == 2
    assert "expected a study in runs/sweeps, got 'nope'; studies there: none" in capsys.readouterr().err


def test_optuna_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"{package.__name__}.engine.sweep.find_spec", lambda name: None)

    assert run(["sweep", "--config", "x"]) == 2
    assert capsys.readouterr().err == "error: optuna is not installed; run make init EXTRAS=dev,sweep\n"


def test_a_study_is_found_by_latest_name_or_path(make_plan: MakePlan) -> None:
    for name in ("old", "new"):
        make_plan(name=name, folder=f"runs/sweeps/{name}").save()

    assert find_study("latest", Path("runs")).name == "new"
    assert find_study("old", Path("runs")) == Path("runs/sweeps/old")
    assert find_study("runs/sweeps/old", Path("elsewhere")) == Path("runs/sweeps/old")
    assert load_plan(Path("runs/sweeps/old")).name == "old"


@pytest.mark.parametrize(
    ("devices", "expected"),
    [("auto", 1), (1, 1), (2, 2), ("2", 2), ([0, 1], 2), ("0,1", 2), (-1, 1), ("-1", 1)],
)
def test_knows_how_many_devices_a_trial_uses(devices: Any, expected: int) -> None:
    assert num_devices(devices) == expected


def test_names_are_as_short_as_they_can_be() -> None:
    keys = ["model.init_args.lr", "data.init_args.lr", "model.init_args.width", "lr"]

    assert list(short_names(keys).values()) == ["model.init_args.lr", "data.init_args.lr", "width", "lr"]


def test_a_terminal_shows_a_table_that_is_redrawn(
    make_plan: MakePlan, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal:
        text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None:
            """Nothing is kept back."""

    def row(number: int, state: str, *values: float) -> Row:
        return Row(
            number=number, state=state, values=list(values), params={"a.lr": 0.1}, run=Path(), duration_s=3.2,
            host="", reason="",
        )  # fmt: skip

    terminal = Terminal()
    table = LiveTable(terminal)  # type: ignore[arg-type]
    table.show(make_plan(), [row(0, "running"), row(1, "waiting")])
    terminal.text = ""
    table.show(make_plan(), [row(0, "complete", 0.5), row(1, "complete", 0.25)])

    assert terminal.text.startswith("\x1b[2A")
    lines = [line.removeprefix("\x1b[2K") for line in terminal.text.splitlines()]
    assert lines[1] == "trial   1  complete  val/loss 0.25  lr=0.1  3 s"
    assert lines[2] == "trial   0  complete  val/loss 0.5  lr=0.1  3 s"


@pytest.mark.parametrize(
    ("visible", "num_gpus", "num_workers", "num_devices", "chosen", "expected"),
    [
        (None, 0, 2, 1, [], [None, None]),
        (None, 4, 3, 1, [], ["0", "1", "2"]),
        (None, 2, 3, 1, [], ["0", "1", "0"]),
        ("5,7,9", 3, 2, 1, [], ["5", "7"]),
        ("5,7,9", 2, 3, 1, [], ["5", "7", "5"]),  # the last is not there
        (None, 5, 3, 2, [], ["0,1", "2,3", "0,1"]),
        (None, 4, 2, 2, [2, 3], ["2,3", "2,3"]),
        ("5,7,9", 3, 1, 1, [2], ["9"]),
        ("MIG-a, MIG-b,MIG-c", 1, 3, 1, [], ["MIG-a", "MIG-b", "MIG-c"]),  # CUDA counts one of them
    ],
)
def test_gpus_are_dealt_out(
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    num_gpus: int,
    num_workers: int,
    num_devices: int,
    chosen: list[int],
    expected: list[str | None],
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)

    assert deal_gpus(num_workers, num_devices, chosen) == expected


@pytest.mark.parametrize("devices", ["[2, 3]", "2,3"])
def test_a_trial_counts_the_gpus_that_are_chosen_for_it_from_0(make_sweep: MakeSweep, devices: str) -> None:
    plan = prepare(make_sweep(), f"--trainer.devices={devices}").plan

    assert (plan.num_devices, plan.devices) == (2, [2, 3])
    assert plan.fit[-1] == "--trainer.devices=2"


def test_a_trial_with_more_gpus_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(InputError, match=r"trainer\.devices: expected some of the 1 visible GPUs, got 3"):
        deal_gpus(1, 1, [3])

    with pytest.raises(InputError, match="expected at least the 2 GPUs of a trial, got 1"):
        deal_gpus(1, 2)
