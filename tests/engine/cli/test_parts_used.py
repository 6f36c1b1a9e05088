"""What Lightning's parts do to a run, and what a config can say of schedules, losses and parameters."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main as run
from my_project.engine.cli.lightning import CLI
from pytorch_lightning.callbacks import ProgressBar
from tiny_runs import TINY, column, error_of, fit, only_run, rows_of

pytestmark = pytest.mark.filterwarnings("ignore")
LR = "torch.optim.lr_scheduler"


def model_of(**init_args: Any) -> dict[str, Any]:
    """The tiny config with other arguments of the model."""
    model = {**TINY["model"], "init_args": {**TINY["model"]["init_args"], **init_args}}
    return {**TINY, "model": model}


def spec(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": init_args}


def test_the_best_of_the_run_is_tested_whatever_else_is_kept() -> None:
    args = "{monitor: val/loss, mode: max, filename: best, save_last: true}"
    own = f"{{class_path: ModelCheckpoint, init_args: {args}}}"
    assert fit(f"--trainer.callbacks+={own}", "--trainer.max_epochs=4") == 0

    folder = only_run()
    losses = column(folder, "val/loss")
    best, worst = (
        torch.load(folder / "checkpoints" / name, weights_only=True)["step"]
        for name in ("best.ckpt", "own/best.ckpt")
    )
    assert best == 3 * (losses.index(min(losses)) + 1)
    assert worst == 3 * (losses.index(max(losses)) + 1)
    assert best != worst
    (tested,) = (row for row in rows_of(folder) if row["test/loss"])
    assert tested["step"] == str(best)


def test_averaged_weights_are_tested_at_the_end_of_a_run_as_by_a_command() -> None:
    average = "{class_path: EMAWeightAveraging, init_args: {decay: 0.9}}"
    assert fit(f"--trainer.callbacks+={average}", "--trainer.max_epochs=3") == 0
    assert run(["test", "--run", "latest", "--name=again"]) == 0

    at_end, again = column(only_run(), "test/loss")
    assert at_end == pytest.approx(again, rel=1e-6)


def test_averaged_weights_are_validated_and_kept() -> None:
    assert fit("--trainer.callbacks+={class_path: EMAWeightAveraging, init_args: {decay: 0.5}}") == 0
    plain = Path("plain")
    assert fit(f"--trainer.default_root_dir={plain}") == 0

    folder = only_run()
    (averaged,), (other,) = column(folder, "val/loss"), column(only_run("plain"), "val/loss")
    assert averaged != other
    assert run(["validate", "--run", "latest", "--name=again"]) == 0
    assert column(folder, "val/loss")[-1] == pytest.approx(averaged, rel=1e-6)


BACKBONE = """
from my_project.model import BaseModel
from my_project.structs import MulticlassPrediction
from torch import nn

class Backboned(BaseModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(768, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 4)

    def forward(self, example):
        return MulticlassPrediction(logits=self.head(self.backbone(example.image.float() / 255)))
"""


@pytest.mark.parametrize("schedule", [None, "OneCycleLR", "CosineAnnealingLR"])
def test_a_backbone_is_unfrozen_where_no_schedule_sets_its_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], schedule: str | None
) -> None:
    (tmp_path / "backboned.py").write_text(BACKBONE)
    monkeypatch.syspath_prepend(str(tmp_path))
    args = {"OneCycleLR": {"max_lr": 0.1}, "CosineAnnealingLR": {"T_max": 0}}
    config = {
        **TINY,
        "model": spec(
            "backboned.Backboned",
            optimizer=spec("torch.optim.SGD", lr=0.1),
            lr_scheduler=spec(f"{LR}.{schedule}", **args[schedule]) if schedule else None,
        ),
        "data": spec("Fake", num_train=24, num_test=8, batch_size=8, image_shape=[3, 16, 16]),
    }
    callback = "{class_path: BackboneFinetuning, init_args: {unfreeze_backbone_at_epoch: 1, verbose: false}}"

    status = fit(f"--trainer.callbacks+={callback}", "--trainer.max_epochs=2", config=config)

    if schedule:
        assert status == 2
        assert "BackboneFinetuning: expected one optimizer without a schedule" in error_of(capsys)
        return
    assert status == 0
    groups = torch.load(only_run() / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]
    assert len(groups["param_groups"]) == 3, "weights and biases of the head, and the backbone"


def test_a_profile_lies_in_the_run_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--trainer.profiler=simple") == 0

    assert "Total time" in (only_run() / "fit-profile.txt").read_text()
    assert "log.txt, fit-profile.txt, test-profile.txt, checkpoints/" in capsys.readouterr().err
    assert "optimizer_step" in (only_run() / "report.html").read_text()


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_in_mixed_precision(precision: str, algorithm: str) -> None:
    options = ["gradient_clip_val=0.5", f"gradient_clip_algorithm={algorithm}", f"precision={precision}"]
    assert fit(*(f"--trainer.{option}" for option in options)) == 0

    config = yaml.safe_load((only_run() / "config.yaml").read_text())
    assert config["model"]["init_args"]["optimizer"]["init_args"]["fused"] is False


def test_a_bar_of_ones_own_is_the_only_one() -> None:
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY))
    cli = CLI(["fit", "--config", "tiny.yaml", "--trainer.callbacks+=TQDMProgressBar"])

    bars = [callback for callback in vars(cli.trainer)["callbacks"] if isinstance(callback, ProgressBar)]
    assert len(bars) == 1


@pytest.mark.parametrize("end", ["max_steps=4", "max_time=00:00:00:01"])
def test_a_run_without_a_last_epoch_ends_by_steps_or_time(end: str) -> None:
    config = model_of(lr_scheduler=spec(f"{LR}.StepLR", step_size=2))
    assert fit("--trainer.max_epochs=-1", f"--trainer.{end}", config=config) == 0

    steps = [int(row["step"]) for row in rows_of(only_run()) if row["train/loss_step"]]
    assert steps[-1] == 3 if end == "max_steps=4" else steps[-1] > 3
    assert len(column(only_run(), "test/loss")) == 1


def test_a_plateau_is_looked_for_when_there_was_a_validation(capsys: pytest.CaptureFixture[str]) -> None:
    config = model_of(
        lr_scheduler=spec(
            "pytorch_lightning.cli.ReduceLROnPlateau", monitor="val/accuracy", patience=0, mode="min"
        )
    )
    options = ["--trainer.check_val_every_n_epoch=2", "--trainer.max_epochs=7"]
    assert fit(*options, config=config) == 0
    rates = column(only_run(), "lr")
    assert rates[: 3 * 4] == [pytest.approx(0.1)] * 12, "the first validation only begins"

    config["model"]["init_args"]["lr_scheduler"]["init_args"]["monitor"] = "val/nope"
    assert fit(*options, config=config) == 2
    assert "lr_scheduler: expected monitor to be a logged number, got 'val/nope'; there are val/" in error_of(
        capsys
    )


WARM_UP = [spec(f"{LR}.LinearLR", start_factor=0.1, total_iters=3), spec(f"{LR}.CosineAnnealingLR", T_max=0)]


def test_a_list_of_schedules_is_a_warm_up(capsys: pytest.CaptureFixture[str]) -> None:
    config = model_of(lr_scheduler=WARM_UP)
    assert fit("--trainer.max_epochs=3", "--name=whole", config=config) == 0

    rates = column(only_run(), "lr")
    assert rates[:3] == pytest.approx([0.04, 0.07, 0.1])
    assert rates[-1] == pytest.approx(0, abs=1e-6)
    config = yaml.safe_load((only_run() / "config.yaml").read_text())
    assert [one["class_path"] for one in config["model"]["init_args"]["lr_scheduler"]] == [
        f"{LR}.LinearLR",
        f"{LR}.CosineAnnealingLR",
    ]
    assert run(["fit", "--resume", "latest", "--trainer.max_epochs=4"]) == 2
    assert "expected the 9 steps for which the learning rate was scheduled, got 12" in error_of(capsys)


PLATEAU = spec("pytorch_lightning.cli.ReduceLROnPlateau", monitor="val/loss")


def test_schedules_that_are_chained_multiply_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    config = model_of(lr_scheduler=spec("Chained", schedulers=WARM_UP))
    assert fit("--trainer.max_epochs=3", "--name=whole", config=config) == 0

    steps = range(1, 10)
    warm_up = [0.1 + 0.9 * min(step, 3) / 3 for step in steps]
    cosine = [(1 + math.cos(math.pi * step / 9)) / 2 for step in steps]
    expected = [0.1 * one * other for one, other in zip(warm_up, cosine, strict=True)]
    assert column(only_run(), "lr") == pytest.approx(expected, abs=1e-6)
    assert run(["fit", "--resume", "latest", "--trainer.max_epochs=4"]) == 2
    assert "expected the 9 steps for which the learning rate was scheduled, got 12" in error_of(capsys)


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "too short for its warm-up": ({"lr_scheduler": WARM_UP}, "expected a run longer than the 3 steps"),
    "no length": (
        {"lr_scheduler": [spec(f"{LR}.ExponentialLR", gamma=0.9), WARM_UP[1]]},
        "for each schedule of a list but the last, got none for ExponentialLR",
    ),
    "rates of its own": (
        {"lr_scheduler": [WARM_UP[0], spec(f"{LR}.OneCycleLR", max_lr=0.1)]},
        "got OneCycleLR, which has its own rates and warm-up; use it alone",
    ),
    "a typo in a list": (
        {"lr_scheduler": [WARM_UP[0], spec(f"{LR}.CosineAnnealingLR", tmax=0)]},
        "lr_scheduler: no such option: 'tmax'; did you mean T_max?",
    ),
    "SequentialLR": (
        {"lr_scheduler": spec(f"{LR}.SequentialLR")},
        "expected schedulers, milestones under init_args, got none; instead, let lr_scheduler be a list",
    ),
    "ChainedScheduler": (
        {"lr_scheduler": spec(f"{LR}.ChainedScheduler")},
        "ChainedScheduler: object of type 'SGD' has no len(); give one schedule, a list of some in",
    ),
    "chained rates of its own": (
        {"lr_scheduler": spec("Chained", schedulers=[WARM_UP[0], spec(f"{LR}.OneCycleLR", max_lr=0.1)])},
        "got OneCycleLR, which has its own rates and warm-up; use it alone",
    ),
    "a chained plateau": (
        {
            "lr_scheduler": spec(
                "Chained",
                schedulers=[WARM_UP[0], spec("pytorch_lightning.cli.ReduceLROnPlateau", monitor="val/loss")],
            )
        },
        "expected schedules by steps in a list, got ReduceLROnPlateau; give it alone",
    ),
    "fewer steps than phases": (
        {"lr_scheduler": spec(f"{LR}.OneCycleLR", max_lr=0.1, pct_start=1 / 3)},
        "expected a run with steps for each phase of OneCycleLR, got too few",
    ),
    "a rate below zero": (
        {"optimizer": spec("torch.optim.SGD", lr=-1)},
        "optimizer: Invalid learning rate: -1.0; correct its arguments in the config",
    ),
    "weights of other classes": (
        {"criterion": spec("torch.nn.CrossEntropyLoss", weight=[1, 2])},
        "criterion: expected a weight for each of 4 classes, got 2",
    ),
    "a pattern of no name": (
        {"param_groups": {"trunk.*": {"lr": 0.1}}},
        "param_groups: expected a pattern of parameter names, got 'trunk.*', which matches none; there are",
    ),
    "an option that the optimizer has not": (
        {"param_groups": {"head.*": {"rate": 0.1}}},
        "param_groups: expected options of SGD for 'head.*', got 'rate'; there are lr, ",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_cannot_be_is_one_line(capsys: pytest.CaptureFixture[str], name: str) -> None:
    init_args, message = SAID[name]

    assert fit(config=model_of(**init_args)) == 2
    assert message in error_of(capsys)


def test_classes_are_weighed_from_a_config() -> None:
    weights = {
        name: spec("torch.nn.CrossEntropyLoss", weight=weight)
        for name, weight in {"even": [1, 1, 1, 1], "first": [9, 1, 1, 1]}.items()
    }
    for name, criterion in weights.items():
        assert fit(f"--trainer.default_root_dir={name}", config=model_of(criterion=criterion)) == 0

    first, even = (column(only_run(name), "train/loss_step") for name in ("first", "even"))
    assert first[0] != even[0]
    config = yaml.safe_load((only_run("first") / "config.yaml").read_text())
    assert config["model"]["init_args"]["criterion"]["init_args"]["weight"] == [9, 1, 1, 1]
    assert run(["fit", "--init_from", "latest", "--trainer.default_root_dir=first"]) == 0, (
        "the saved config repeats it"
    )


def test_parameters_have_options_by_their_names() -> None:
    groups = {"head.*": {"lr": 0.01}, "*.bias": {"weight_decay": 0.5}}
    optimizer = spec("torch.optim.SGD", lr=0.1, weight_decay=0.2)
    assert (
        fit(
            "--trainer.callbacks+=LearningRateMonitor",
            config=model_of(param_groups=groups, optimizer=optimizer),
        )
        == 0
    )

    state = torch.load(only_run() / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]
    said = [(round(group["max_lr"], 9), group["weight_decay"]) for group in state["param_groups"]]
    assert said == [(0.1, 0.2), (0.1, 0.0), (0.01, 0.2), (0.01, 0.0), (0.1, 0.5)]
    config = yaml.safe_load((only_run() / "config.yaml").read_text())
    assert list(config["model"]["init_args"]["param_groups"].items()) == list(groups.items()), (
        "in their order"
    )


AUGMENT = """
from dataclasses import dataclass, replace
from my_project.data.augment import Augment

@dataclass(frozen=True)
class Dark(Augment):
    share: float = 0.5

    def __call__(self, example, *, seed, epoch):
        return replace(example, image=(example.image * self.share).byte())
"""


def test_another_augmentation_comes_from_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "darkness.py").write_text(AUGMENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, share in (("black", 0), ("bright", 1)):
        data = {**TINY["data"]["init_args"], "augment": spec("darkness.Dark", share=share)}
        config = {**TINY, "data": spec("Fake", **data)}
        assert fit(f"--trainer.default_root_dir={name}", config=config) == 0

    black, bright = (column(only_run(name), "train/loss_step") for name in ("black", "bright"))
    assert black != bright
    assert "darkness.Dark" in (only_run("black") / "config.yaml").read_text()


def test_a_rate_is_found_drawn_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(command="lr_find") == 0

    out = capsys.readouterr().err
    said = out.partition("fit ... ")[2].split()
    assert [option.partition("=")[0] for option in said] == [
        "--model.init_args.optimizer.init_args.lr",
        "--model.init_args.lr_scheduler.init_args.max_lr",
    ]
    assert 1e-4 < float(said[0].partition("=")[2]) <= 1
    folder = only_run()
    assert [path.name for path in folder.iterdir()] == ["lr_find.png"]
    assert (folder / "lr_find.png").read_bytes().startswith(b"\x89PNG")
    assert fit(*said) == 0


def test_a_batch_size_is_found_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    data = {**TINY["data"]["init_args"], "num_train": 40, "drop_last": True}
    assert fit(command="batch_size_find", config={**TINY, "data": spec("Fake", **data)}) == 0

    assert "--data.init_args.batch_size=32\n" in capsys.readouterr().err
    assert not list(Path("runs").glob("*/*")), "no run is left that could be gone on with"


def test_finding_is_no_resume(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--resume=latest", command="lr_find") == 2
    assert "no such option: 'resume'" in error_of(capsys)
