"""A run in stages: what each begins with, when it ends, what its rows, pictures and folders say."""

import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.data.digits import Digits
from my_project.data.multi_digits import MultiDigits
from my_project.engine.instruments import title_of
from my_project.engine.load_run import load_run
from my_project.engine.loggers import RunFolderLogger, StageOfRun
from my_project.engine.report.run_data import read_run
from my_project.engine.runs.folder import find_run
from my_project.engine.stages.plan import Plan, load_plan
from my_project.engine.stages.until import Until
from staged import CONFIG, NAMES, NUM_STEPS, STARTS, checkpoint_of, only_run, rows_of, write
from support import PROJECT, MakeNet, MakeTrainer

Said = pytest.CaptureFixture[str]


def fit(*options: str) -> int:
    return main(["fit", "--config=config.yaml", "--name=one", *options])


def short(name: str, **more: Any) -> dict[str, Any]:
    """A stage of an epoch."""
    return {"name": name, "until": {"epochs": 1}, **more}


def test_three_stages_make_one_run(capsys: Said) -> None:
    write()
    assert fit() == 0
    said = capsys.readouterr().err
    run = only_run("one")
    rows = rows_of(run)

    assert sorted(path.name for path in (run / "stages").iterdir()) == ["all", "head"]
    folders = [run / "stages/head", run / "stages/all", run]
    assert [checkpoint_of(folder)["step"] for folder in folders] == [16, 36, 66]
    for number, (start, steps) in enumerate(zip(STARTS, NUM_STEPS, strict=True), start=1):
        own = {int(row["step"]) for row in rows if row["stage"] == str(number) and "test/loss" not in row}
        assert own
        assert own <= set(range(start, start + steps))
    steps = [int(row["step"]) for row in rows[:-1]]
    assert steps == sorted(steps)
    (test,) = [row for row in rows if "test/loss" in row]
    assert test["stage"] == "3"
    assert int(test["step"]) == checkpoint_of(run, "best")["step"] > STARTS[2]
    pictures = [int(path.stem[5:]) for path in (run / "figures/val").rglob("*.png")]
    assert sorted(pictures) == [7, 15, 23, 31, 35, 50, 65]
    for number, name in enumerate(NAMES, start=1):
        assert f"stage {number} of 3, {name}" in said
        assert f"{name}: epoch 1" in said
    assert "tensors from head (best)" in said
    assert "tensors from all (last); trained: features.1.*, head" in said
    assert said.count("next: python -m") == 1
    assert "stage 2 of 3, all" in (run / "log.txt").read_text()
    configs = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in folders]
    rates = [config["model"]["init_args"]["optimizer"]["init_args"]["lr"] for config in configs]
    assert rates == [0.01, 0.001, 0.01]
    assert [config["trainer"]["max_epochs"] for config in configs] == [2, -1, 2]
    assert [config["data"]["init_args"]["batch_size"] for config in configs] == [16, 16, 8]
    report = read_run(run)
    assert report["stages"] == list(zip(NAMES, STARTS, strict=True))
    assert (report["epoch"], report["max_epochs"], report["state"]) == (2, "2", "finished")
    assert report["best_step"] in (50, 65)
    assert {"stages/all/checkpoints/best.ckpt", "checkpoints/best.ckpt"} <= set(report["files"])
    assert not {"stage", "epoch"} & set(report["curves"])


def test_a_stage_begins_with_the_weights_of_the_one_before_and_trains_what_it_says() -> None:
    write(
        [
            short("first"),
            short("second", trainable="head"),
            short("third", trainable=["head"], **{"from": "last"}),
        ]
    )
    assert fit() == 0
    run = only_run("one")
    first, second = (checkpoint_of(run / "stages" / name) for name in ("first", "second"))
    third = checkpoint_of(run)

    for before, after in ((first, second), (second, third)):
        before, after = before["state_dict"], after["state_dict"]
        for name in before:  # the running statistics of a frozen part, too
            assert torch.equal(before[name], after[name]) == (not name.startswith("head.")), name
    assert len(third["optimizer_states"][0]["state"]) == 2


def test_a_stage_may_have_another_head(capsys: Said) -> None:
    wider = {"data": {"init_args": {"num_classes": 7}}}
    write([short("few"), short("many", change=wider)])
    assert fit() == 0

    assert "stage 2 of 2, many: 20 of 22 tensors from few (best), new in head" in capsys.readouterr().err
    assert checkpoint_of(only_run("one"))["state_dict"]["head.weight"].shape[0] == 7


def test_weights_of_classes_are_those_of_the_stage() -> None:
    def weighted(*weights: float) -> dict[str, Any]:
        criterion = {"class_path": "torch.nn.CrossEntropyLoss", "init_args": {"weight": list(weights)}}
        return {"model": {"init_args": {"criterion": criterion}}}

    equal, skewed = weighted(*[1.0] * 4), weighted(*[2.0] * 4)
    write([short("equal", change=equal), short("skewed", change=skewed)])
    assert fit() == 0

    assert checkpoint_of(only_run("one"))["state_dict"]["criterion.weight"].tolist() == [2.0] * 4


@pytest.mark.parametrize(
    ("until", "num_epochs"),
    [
        ({"epochs": 3}, 3),
        ({"steps": 9}, 2),
        ({"epochs": 3, "steps": 9}, 2),
        ({"metric": {"val/loss": {"above": 0.0}}}, 1),
        ({"metric": {"train/loss": {"below": 99}}, "epochs": 3}, 1),
        ({"metric": {"val/loss": {"below": -1}}, "epochs": 2}, 2),
        ({"no_improvement": {"monitor": "val/loss", "mode": "max", "epochs": 2}, "epochs": 9}, None),
        ({"class_path": "mine.After", "init_args": {"epoch": 2}}, 2),
    ],
    ids=["epochs", "steps", "both", "above", "below", "never", "no_improvement", "class"],
)
def test_a_stage_ends_when_its_condition_holds(
    until: dict[str, Any], num_epochs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("mine.py").write_text(
        "class After:\n"
        "    def __init__(self, epoch):\n"
        "        self.epoch = epoch\n"
        "    def __call__(self, epoch, history):\n"
        "        assert len(history) == epoch and history.index.name == 'epoch'\n"
        "        assert history['val/loss'].notna().all() and history['train/loss'].notna().all()\n"
        "        return epoch == self.epoch\n"
    )
    write([{"name": "only", "until": until}])
    assert fit() == 0
    losses = [float(row["val/loss"]) for row in rows_of(only_run("one")) if "val/loss" in row]

    if num_epochs is None:  # of the largest loss, by hand
        stalled = [epoch - losses.index(max(losses[: epoch + 1])) for epoch in range(len(losses))]
        assert stalled[-1] == 2 or len(losses) == 9
        assert 2 not in stalled[:-1]
    else:
        assert len(losses) == num_epochs


def test_a_resumed_stage_counts_the_epochs_of_before(make_trainer: MakeTrainer, make_net: MakeNet) -> None:
    stalled, checkpoint = {"no_improvement": {"epochs": 2}}, dict[str, Any]()
    before, after = (Until(stalled, ("val/loss", "min")) for _ in range(2))
    before.rows = [{"val/loss": loss} for loss in (1.0, 1.5)]
    before.on_save_checkpoint(make_trainer(), make_net(), checkpoint)

    after.on_load_checkpoint(make_trainer(), make_net(), checkpoint)

    assert not after.is_met()
    after.rows.append({"val/loss": 1.2})
    assert after.is_met()


def test_each_folder_of_a_stage_is_a_run(capsys: Said) -> None:
    write()
    assert fit() == 0
    run = only_run("one")
    before = len(rows_of(run))

    assert main(["test", "--run=runs/" + run.name + "/stages/all"]) == 0
    (row,) = rows_of(run / "stages/all")
    assert int(row["step"]) == checkpoint_of(run / "stages/all", "best")["step"]
    assert len(rows_of(run)) == before
    assert load_run(run).config["data"]["init_args"]["batch_size"] == 8
    assert load_run(run / "stages/head").config["data"]["init_args"]["batch_size"] == 16
    assert main(["test", "--run=one"]) == 0
    assert int(rows_of(run)[-1]["step"]) == checkpoint_of(run, "best")["step"]


def test_a_stage_that_is_added_is_all_that_is_trained(capsys: Said) -> None:
    write([short("first"), short("second")])
    assert fit() == 0
    run = only_run("one")
    best = checkpoint_of(run, "best")["state_dict"]
    before = rows_of(run)
    capsys.readouterr()
    assert main(["fit", "--resume=one"]) == 0
    assert "nothing to train: the stages have ended, the last is second" in capsys.readouterr().err
    assert rows_of(run) == before

    write([short("first"), short("second"), short("third", trainable="head")])
    assert main(["fit", "--resume=one", "--config=config.yaml"]) == 0
    assert "stage 3 of 3, third: 22 of 22 tensors from second (best)" in capsys.readouterr().err
    assert rows_of(run)[: len(before)] == before
    assert {row["stage"] for row in rows_of(run)[len(before) :]} == {"3"}
    after = checkpoint_of(run)["state_dict"]
    assert torch.equal(after["features.0.0.weight"], best["features.0.0.weight"])
    assert not torch.equal(after["head.weight"], best["head.weight"])
    assert len([row for row in rows_of(run) if "test/loss" in row]) == 2

    write([short("first"), short("second", trainable="head"), short("third")])
    capsys.readouterr()
    assert main(["fit", "--resume=one", "--config=config.yaml"]) == 2
    assert "expected second as it was, since it has ended, got another one" in capsys.readouterr().err
    write([short("first")])
    assert main(["fit", "--resume=one", "--config=config.yaml"]) == 2
    assert "expected second as it was" in capsys.readouterr().err


def test_without_stages_nothing_is_said_of_them() -> None:
    config = write()
    del config["stages"]
    config["trainer"]["max_epochs"] = 1
    Path("config.yaml").write_text(yaml.safe_dump(config))
    assert fit() == 0
    run = only_run("one")

    assert not any("stage" in row for row in rows_of(run))
    assert not (run / "stages.yaml").exists()
    assert not (run / "stages").exists()


def test_parts_of_another_run_are_taken(capsys: Said) -> None:
    write([short("first")])
    assert fit() == 0
    given = checkpoint_of(only_run("one"), "best")["state_dict"]
    other = deepcopy(CONFIG)
    del other["stages"]
    other["data"]["init_args"]["num_classes"] = 7
    other["trainer"] |= {"max_epochs": 1, "limit_train_batches": 1}
    other["model"]["init_args"] |= {
        "lr_scheduler": None,
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.0}},
    }
    Path("other.yaml").write_text(yaml.safe_dump(other))
    begin = ["fit", "--config=other.yaml", "--init_from=one"]

    assert main([*begin, "--name=strict"]) == 2
    assert "use its own config" in capsys.readouterr().err
    assert main([*begin, "--name=two", "--init_modules=features.0,features.1"]) == 0
    assert re.search(
        r"took \d+ of 22 tensors: features.0, features.1 of .*best.ckpt", capsys.readouterr().err
    )
    got = checkpoint_of(only_run("two"))["state_dict"]
    assert torch.equal(got["features.0.0.weight"], given["features.0.0.weight"])
    assert not torch.equal(got["features.2.0.weight"], given["features.2.0.weight"])
    for modules, expected in (
        ("head", "init_modules: head of"),
        (
            "encoder",
            "init_modules: expected a part of ResNet, got 'encoder'; there are normalize, features, head",
        ),
    ):
        assert main([*begin, "--name=bad", f"--init_modules={modules}"]) == 2
        assert expected in capsys.readouterr().err
    assert main(["fit", "--config=other.yaml", "--init_modules=head"]) == 2
    assert "expected --init_from RUN beside --init_modules" in capsys.readouterr().err


def test_the_first_stage_may_begin_with_parts_of_another_run() -> None:
    write([short("first")])
    assert fit() == 0
    write([short("first", trainable="head"), short("second")])
    assert (
        main(["fit", "--config=config.yaml", "--name=two", "--init_from=one", "--init_modules=features"]) == 0
    )

    given = checkpoint_of(only_run("one"), "best")["state_dict"]["features.0.0.weight"]
    got = checkpoint_of(only_run("two") / "stages/first")["state_dict"]["features.0.0.weight"]
    assert torch.equal(got, given)


E_ = {"until": {"epochs": 1}}
WRONG: dict[str, tuple[Any, str]] = {
    "no list": ({"name": "a"}, "stages: expected a list of stages"),
    "none": ([], "stages: expected a list of stages"),
    "no mapping": (["a"], "expected keys and values in stage 1"),
    "no name": ([E_], "expected a name of letters, digits and .+=-_ for stage 1, got None"),
    "a path for a name": ([short("../a")], "expected a name of letters"),
    "one name twice": ([short("a"), short("b"), short("a")], "got 'a' twice"),
    "an unknown key": (
        [short("a", trainabel="head")],
        "stage a: expected a key that exists, got 'trainabel'; did you",
    ),
    "no condition": ([{"name": "a", "until": {}}], "stage a: expected a condition under until"),
    "an unknown condition": ([{"name": "a", "until": {"epoch": 1}}], "got 'epoch'; did you mean epochs?"),
    "no epochs": (
        [{"name": "a", "until": {"epochs": 0}}],
        "expected a number of epochs of at least 1, got 0",
    ),
    "no bound": (
        [{"name": "a", "until": {"metric": {"val/loss": 1}}}],
        "expected above or below for val/loss, got 1",
    ),
    "no mode": (
        [{"name": "a", "until": {"no_improvement": {"monitor": "val/accuracy", "epochs": 1}}}],
        "expected mode: min or max beside val/accuracy",
    ),
    "a metric that is never logged": (
        [short("a"), {"name": "b", "until": {"epochs": 1, "metric": {"val/acc": {"above": 1}}}}],
        "stage b: until: expected a logged number, got 'val/acc'; there are val/",
    ),
    "a monitor that is never logged": (
        [short("a"), short("b", change={"checkpoint": {"monitor": "val/x"}})],
        "stage b: expected checkpoint.monitor to be a logged number, got 'val/x'",
    ),
    "a pattern that matches nothing": (
        [short("a"), short("b", trainable=["head", "encoder.*"])],
        "stage b: trainable: expected a pattern of parameter names, got 'encoder.*', which matches none",
    ),
    "no pattern": ([short("a", trainable=[])], "stage a: expected patterns under trainable, got []"),
    "an option that is none": (
        [short("a"), short("b", change={"trainer": {"max_epoch": 1}})],
        "stage b: ",
    ),
    "no options": ([short("a", change=3)], "stage a: expected options of fit under change, got 3"),
    "other devices": (
        [short("a", change={"trainer": {"devices": 2}})],
        "stage a: expected trainer.devices to be that of the whole run",
    ),
    "another seed": (
        [short("a", change={"seed_everything": 2})],
        "expected seed_everything to be that of the",
    ),
    "a class that is none": ([{"name": "a", "until": {"class_path": "nowhere.After"}}], "stage a: "),
    "no call": (
        [{"name": "a", "until": {"class_path": "torch.Size"}}],
        "stage a: until: expected a class with __call__",
    ),
    "weights from nowhere": (
        [short("a", **{"from": "first"})],
        "stage a: expected from: best or last, got 'first'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line_before_the_first_step(name: str, capsys: Said) -> None:
    stages, expected = WRONG[name]
    write(stages)

    assert fit() == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1
    assert not list(Path("runs").glob("*"))


@pytest.mark.parametrize("command", ["validate", "test", "lr_find"])
def test_other_commands_refuse_stages(command: str, capsys: Said) -> None:
    write()

    assert main([command, "--config=config.yaml"]) == 2
    assert "which only fit and sweep take" in capsys.readouterr().err


def test_the_command_line_changes_stages() -> None:
    write([short("first"), short("se.cond", change={"trainer": {"log_every_n_steps": 1}})])
    options = ["first.until.epochs=2", "se.cond.trainable=[head]", "se.cond.change.trainer.precision=64-true"]
    bound = ["--stages.first.until.metric.val/loss.below", "1e-9"]  # a number, which YAML 1.1 takes for text

    assert fit(*(f"--stages.{option}" for option in options), *bound) == 0

    first, second = load_plan(only_run("one")).read()
    assert first.until == {"epochs": 2, "metric": {"val/loss": {"below": 1e-9}}}
    assert second.trainable == ("head",)
    assert second.change == {"trainer": {"log_every_n_steps": 1, "precision": "64-true"}}
    assert checkpoint_of(only_run("one"))["state_dict"]["head.weight"].dtype == torch.float64


def test_the_command_line_changes_a_stage_that_has_not_ended(capsys: Said) -> None:
    write([short("first"), short("second")])
    assert fit() == 0
    run = only_run("one")

    assert main(["fit", f"--resume={run}", "--stages.first.until.epochs=2"]) == 2
    assert "expected first as it was, since it has ended" in capsys.readouterr().err
    assert main(["fit", f"--resume={run}", "--stages.nowhere.until.epochs=2"]) == 2
    assert "there are the stages first, second" in capsys.readouterr().err
    assert [stage.until for stage in load_plan(run).read()] == [{"epochs": 1}] * 2


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--stages.first.until.epochs", "expected a value after --stages.first.until.epochs, got none"),
        ("--stages.first.until.epochs=[", "expected a value in YAML, got '['"),
        ("--stages.first.until.epochs.more=1", "expected keys and values under epochs, got 1"),
    ],
)
def test_an_option_of_a_stage_that_cannot_be_is_refused(option: str, expected: str, capsys: Said) -> None:
    write([short("first")])

    assert fit(option) == 2
    assert expected in capsys.readouterr().err
    assert not Path("runs").exists()


def test_an_option_of_a_stage_wants_stages(capsys: Said) -> None:
    config = write()
    del config["stages"]
    Path("config.yaml").write_text(yaml.safe_dump(config))

    assert fit("--stages.first.until.epochs=1") == 2
    assert "expected a config with stages beside --stages.first.until.epochs" in capsys.readouterr().err


def test_a_run_without_stages_does_not_go_on_in_stages(capsys: Said) -> None:
    config = write([short("a")])
    plain = {key: value for key, value in config.items() if key != "stages"}
    plain["trainer"]["max_epochs"] = 1
    Path("plain.yaml").write_text(yaml.safe_dump(plain))
    assert main(["fit", "--config=plain.yaml", "--name=plain"]) == 0

    assert main(["fit", "--resume=plain", "--config=config.yaml"]) == 2
    assert "expected a run in stages, got plain" in capsys.readouterr().err


def test_a_stage_is_tested_where_it_says_so() -> None:
    write([short("first", change={"test_after_fit": True}), short("second")])
    assert fit() == 0
    tests = [row for row in rows_of(only_run("one")) if "test/loss" in row]

    assert [(row["stage"], row["step"]) for row in tests] == [("1", "8"), ("2", "16")]


def test_a_run_between_two_stages_is_the_latest(tmp_path: Path) -> None:
    for name, place in (("a", "checkpoints"), ("b", "stages/head/checkpoints")):
        (tmp_path / name / place).mkdir(parents=True)
        (tmp_path / name / place / "last.ckpt").touch()
        (tmp_path / name / "config.yaml").touch()
        os.utime(tmp_path / name / "config.yaml", (0, ord(name)))

    assert find_run("latest", tmp_path) == tmp_path / "b"


def test_no_secret_is_kept_in_the_plan(tmp_path: Path) -> None:
    stages = [short("a", change={"data": {"init_args": {"token": "s3cret"}}})]
    plan = Plan(configs=[{"logger": {"api_key": "s3cret"}}], options=["--x.password=s3cret"], stages=stages)
    plan.write(tmp_path)

    assert "s3cret" not in (tmp_path / "stages.yaml").read_text()
    assert load_plan(tmp_path).stages[0]["name"] == "a"


def test_pictures_bear_the_name_of_their_stage(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    logger.stage = StageOfRun(2, "head")
    trainer = make_trainer(logger=logger)
    assert title_of("test", trainer) == "test, head"
    assert title_of("test", make_trainer()) == "test"


def test_a_head_is_trained_on_the_frozen_part_of_another_graph(
    capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path.cwd())
    Path("own.py").write_text(
        "from torch import nn\n\n"
        "class Encoder(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(3 * 16 * 16, 8))\n\n"
        "class Decoder(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Linear(8, 3 * 16 * 16), nn.Unflatten(1, (3, 16, 16)))\n"
    )
    head = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 8, "out_features": 4}}
    model = {
        "networks": {"encoder": "own.Encoder", "decoder": "own.Decoder"},
        "graph": {"code": "encoder(image)", "reconstruction": "decoder(code)"},
        "prediction": {"image": "reconstruction"},
        "losses": {"pixels": {"criterion": "torch.nn.MSELoss", "inputs": ["reconstruction", "image"]}},
    }
    change = {
        "networks": {"encoder": "own.Encoder", "head": head},
        "graph": {"code": "encoder(image)", "logits": "head(code)"},
        "prediction": {"multiclass": "logits"},
        "losses": {"classes": {"criterion": "torch.nn.CrossEntropyLoss", "inputs": ["logits", "target"]}},
    }
    trainer = {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 3}
    stages = [short("draw"), short("name", trainable="head", change={"model": {"init_args": change}})]
    write(stages, model={"class_path": "Parts", "init_args": model}, trainer=trainer)
    assert fit() == 0

    assert "name: 2 of 4 tensors from draw (best), new in head; trained: head" in capsys.readouterr().err
    run = only_run("one")
    before, after = checkpoint_of(run / "stages/draw")["state_dict"], checkpoint_of(run)["state_dict"]
    assert torch.equal(before["networks.encoder.1.weight"], after["networks.encoder.1.weight"])
    plain = write(model={"class_path": "Parts", "init_args": change}, trainer=trainer)
    del plain["stages"]
    Path("plain.yaml").write_text(yaml.safe_dump(plain))
    begin = ["fit", "--config=plain.yaml", "--init_from=runs/" + run.name + "/stages/draw", "--name=two"]
    assert main([*begin, "--init_modules=encoder"]) == 0
    assert "took 2 of 4 tensors: encoder of" in capsys.readouterr().err


def test_the_example_of_pretraining_sees_no_digit_of_the_test(capsys: Said) -> None:
    """Where the same digits are in both of its data sets."""
    config = f"--config={PROJECT}/configs/pretrain.yaml"
    short_stages = ["--stages.several.until.epochs=1", "--stages.single.until.epochs=1"]
    data = ["--data.init_args.num_train=300", "--data.init_args.num_eval=50"]

    assert main(["fit", config, "--name=one", *short_stages, *data]) == 0

    found = re.search(r"single: (\d+) of (\d+) tensors from several", capsys.readouterr().err)
    assert found is not None
    assert found[1] == found[2]
    several, single = (load_run(only_run("one") / place).data for place in ("stages/several", "."))
    assert isinstance(several, MultiDigits)
    assert isinstance(single, Digits)
    several.setup("fit")
    single.setup("fit")
    single.setup("test")
    assert (len(several.train_set), len(single.train_set), len(single.sets_of("test")["test"])) == (
        300,
        50,
        359,
    )
    windows = several.train_set.examples.image.unfold(2, 8, 1).unfold(3, 8, 1).reshape(-1, 64)
    seen = {bytes(window.tolist()) for window in windows[windows.sum(dim=1) > 0]}
    tested = single.sets_of("test")["test"]
    trained = single.train_set
    assert not {bytes(image.flatten().tolist()) for image in tested.examples.image[tested.rows]} & seen
    assert {bytes(image.flatten().tolist()) for image in trained.examples.image[trained.rows]} & seen
