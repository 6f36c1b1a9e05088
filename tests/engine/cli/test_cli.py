import csv
import inspect
import json
import resource
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import torch
import yaml
from my_project.__main__ import main as run
from my_project.data import ImageData
from my_project.data.fake import Fake
from my_project.engine.cli.lightning import CLI
from my_project.engine.cli.run_options import expand_run_options
from my_project.engine.errors import InputError
from my_project.engine.runs.folder import find_run
from my_project.model import BaseModel, load_model
from my_project.model.resnet import ResNet
from torch.nn.functional import cross_entropy

CONFIGS = Path(package.__file__).parents[1] / "configs"
SMALL = {
    "seed_everything": 1,
    "checkpoint": {"monitor": "val/accuracy", "mode": "max"},
    "model": {
        "class_path": "ResNet",
        "init_args": {
            "width": 4,
            "depths": [0, 1],
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
            "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.1}},
        },
    },
    "data": {"class_path": "Fake", "init_args": {"num_train": 60, "num_test": 20, "batch_size": 16}},
    "trainer": {"accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 2},
}


class Wide(BaseModel):
    """A model with arguments of the names, but not the defaults, of another."""

    def __init__(self, *, width: int = 99, depths: list[int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width, self.depths = width, depths


@pytest.fixture
def small() -> str:
    Path("small.yaml").write_text(yaml.safe_dump(SMALL))
    Path("typo.yaml").write_text("trainer: {max_epoch: 3}")
    Path("class.yaml").write_text("model: {class_path: Resnet, init_args: {width: 64}}")
    return "small.yaml"


def only_run() -> Path:
    (folder,) = Path("runs").iterdir()
    return folder


def metrics(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def scores_of(checkpoint: Path) -> dict[str, float]:
    """Loss and accuracy of the model in a checkpoint on the test set of ``SMALL``, computed in one go."""
    data = Fake(num_train=60, num_test=20, seed=1)
    data.setup("test")
    batch = data._sets["test"][range(20)]
    assert batch.target is not None
    with torch.no_grad():
        logits = load_model(checkpoint).eval()(batch).logits.double()
    return {
        "test/loss": cross_entropy(logits, batch.target).item(),
        "test/accuracy": (logits.argmax(dim=1) == batch.target).double().mean().item(),
    }


def assert_tested(row: dict[str, str], checkpoint: Path) -> None:
    assert {key: float(row[key]) for key in ("test/loss", "test/accuracy")} == pytest.approx(
        scores_of(checkpoint), rel=1e-4
    )


def resolved(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as stop:
        run(["fit", *args, "--print_config"])
    assert not stop.value.code
    return yaml.safe_load(capsys.readouterr().out)


def test_a_run_leaves_all_in_its_folder(small: str) -> None:
    assert run(["fit", "--config", small, "--test_after_fit=true", "--name=first"]) == 0

    folder = only_run()
    assert folder.name.endswith("-first")
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "config.yaml",
        "run.json",
        "metrics.csv",
        "log.txt",
        "report.html",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    assert "epoch 2/2" in (folder / "log.txt").read_text()
    last = metrics(folder)[-1]
    assert_tested(last, folder / "checkpoints/best.ckpt")
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    assert last["step"] == str(best["global_step"])
    starts = json.loads((folder / "run.json").read_text())
    assert [start["stage"] for start in starts] == ["fit", "test"]
    assert {(start["facts"]["seed"], start["outcome"]) for start in starts} == {(1, "finished")}


def test_the_saved_config_repeats_the_run(small: str) -> None:
    run(["fit", "--config", small, "--name=first", "--model.init_args.width=6"])
    first = find_run("first", Path("runs"))
    run(["fit", "--config", str(first / "config.yaml"), "--name=second"])
    second = find_run("second", Path("runs"))

    assert first.parent == second.parent
    assert metrics(first) == metrics(second)


def test_configs_of_both_kinds_are_merged_in_order(capsys: pytest.CaptureFixture[str], small: str) -> None:
    Path("more.json").write_text(
        json.dumps({"trainer": {"max_epochs": 7}, "data": {"init_args": {"noise": 0.5}}})
    )

    config = resolved(capsys, "--config", small, "--config", "more.json", "--data.init_args.num_test=9")

    assert config["trainer"]["max_epochs"] == 7
    assert config["trainer"]["log_every_n_steps"] == 2
    init_args = config["data"]["init_args"]
    assert (init_args["noise"], init_args["num_test"], init_args["num_train"]) == (0.5, 9, 60)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CONFIGS.glob("*.yaml")) if not path.name.startswith("sweep")],
    ids=lambda path: path.name,
)
def test_every_shipped_config_is_valid(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    if content["data"]["class_path"] == "BoltsData" and find_spec("pl_bolts") is None:
        pytest.skip("needs lightning-bolts: in build/demo, make init EXTRAS=dev,sweep,bolts")

    assert resolved(capsys, "--config", str(path))["data"]["class_path"].endswith(
        content["data"]["class_path"]
    )


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("--model=Wide", "model", {"width": 99, "depths": None}),
        ("--model.init_args.optimizer=torch.optim.RMSprop", "optimizer", {"weight_decay": 0, "momentum": 0}),
        ("--model.init_args.optimizer=torch.optim.AdamW", "optimizer", {"weight_decay": 0.01}),
        ("--model.init_args.lr_scheduler=StepLR", "lr_scheduler", {"gamma": 0.1}),
        ("--data=Digits", "data", {"test_split": 0.2, "val_split": 0.1}),
    ],
)
def test_another_class_has_its_own_defaults(
    capsys: pytest.CaptureFixture[str], override: str, key: str, expected: dict[str, Any]
) -> None:
    """The defaults of LightningCLI would carry arguments of the old class over: guarded for each kind."""
    options = ["--model=ResNet", "--data=Fake", "--model.init_args.optimizer=torch.optim.SGD"]
    extra = ["--model.init_args.lr_scheduler.init_args.step_size=3"] if key == "lr_scheduler" else []

    config = resolved(capsys, *options, override, *extra)

    spec = config["model"]["init_args"][key] if key not in config else config[key]
    assert spec["class_path"].rpartition(".")[2] == override.rpartition("=")[2].rpartition(".")[2]
    assert {name: spec["init_args"][name] for name in expected} == expected


@pytest.mark.parametrize("cls", [cls for base in (BaseModel, ImageData) for cls in base.__subclasses__()])
def test_no_signature_has_a_class_typed_default(cls: type) -> None:
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.default is not parameter.empty:
            assert isinstance(parameter.default, int | float | str | tuple | None), name


def test_resume_goes_on_in_the_same_folder_to_the_same_end(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["fit", "--config", small, "--name=whole", "--trainer.max_epochs=3"])
    whole = find_run("whole", Path("runs"))

    def crash(model: ResNet, *args: Any) -> None:
        BaseModel.on_train_batch_end(model, *args)
        if model.global_step == 6:
            raise RuntimeError("crashed")

    with monkeypatch.context() as patch:
        patch.setattr(ResNet, "on_train_batch_end", crash)
        assert run(["fit", "--config", small, "--name=broken", "--trainer.max_epochs=3"]) == 2
    assert run(["fit", "--resume", "broken"]) == 0

    broken = find_run("broken", Path("runs"))
    assert len(list(Path("runs").iterdir())) == 2
    assert metrics(broken) == metrics(whole)
    weights = [
        torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for folder in (whole, broken)
    ]
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=0)


def test_a_run_resumed_inside_its_last_epoch_is_tested(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(model: ResNet, *args: Any) -> None:
        BaseModel.on_train_batch_end(model, *args)
        if model.global_step == 7:
            raise RuntimeError("crashed")

    with monkeypatch.context() as patch:
        patch.setattr(ResNet, "on_train_batch_end", crash)
        assert (
            run(["fit", "--config", small, "--test_after_fit=true", "--checkpoint.every_n_train_steps=2"])
            == 2
        )
    checkpoint = torch.load(only_run() / "checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 6, "inside the second of two epochs of 4 steps"

    assert run(["fit", "--resume", "latest"]) == 0

    assert_tested(metrics(only_run())[-1], only_run() / "checkpoints/best.ckpt")


def test_init_from_starts_a_new_run_with_the_weights(small: str) -> None:
    run(["fit", "--config", small, "--name=first"])
    first = find_run("first", Path("runs"))
    Path("still.yaml").write_text(
        yaml.safe_dump(
            {"model": {"init_args": {"optimizer": {"init_args": {"lr": 0.0}}, "lr_scheduler": None}}}
        )
    )

    assert (
        run(["fit", "--init_from", "first", "--config", small, "--config", "still.yaml", "--name=second"])
        == 0
    )

    second = find_run("second", Path("runs"))
    old = torch.load(first / "checkpoints/best.ckpt", weights_only=True)
    new = torch.load(second / "checkpoints/last.ckpt", weights_only=True)
    torch.testing.assert_close(
        new["state_dict"]["head.weight"], old["state_dict"]["head.weight"], rtol=0, atol=0
    )
    assert new["global_step"] == 8


def test_test_and_validate_use_the_best_of_a_run(small: str) -> None:
    # The worst one is taken for the best, so that it is not the last.
    run(["fit", "--config", small, "--checkpoint.monitor=val/loss", "--checkpoint.mode=max"])
    trained, checkpoints = metrics(only_run()), only_run() / "checkpoints"
    losses = [float(row["val/loss"]) for row in trained if row["val/loss"]]
    assert losses[0] > losses[-1]

    assert run(["test", "--run", "latest"]) == 0
    assert run(["validate", "--run", "latest"]) == 0

    *before, test, validation = metrics(only_run())
    assert len(before) == len(trained)
    assert float(validation["val/loss"]) == pytest.approx(losses[0], rel=1e-6)
    assert_tested(test, checkpoints / "best.ckpt")
    assert scores_of(checkpoints / "best.ckpt") != scores_of(checkpoints / "last.ckpt")


def test_resuming_a_finished_run_says_so_and_adds_nothing(
    small: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["fit", "--config", small, "--test_after_fit=true"])
    before = metrics(only_run())

    assert run(["fit", "--resume", "latest"]) == 0

    assert (
        "nothing to train: the run was ended by max_epochs=2; to continue, raise --trainer.max_epochs, or"
        in capsys.readouterr().err
    )
    assert metrics(only_run()) == before


def test_a_refused_resume_leaves_the_config_as_it_was(small: str) -> None:
    run(["fit", "--config", small])
    before = (only_run() / "config.yaml").read_text()

    assert run(["fit", "--resume", "latest", "--trainer.max_epochs=5"]) == 2
    assert (only_run() / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--trainer.max_epoch=1"], "no such option: 'trainer.max_epoch'; did you mean trainer.max_epochs?"),
        (
            ["--model.init_args.widht=1"],
            "model: no such option: 'widht'; did you mean width?",
        ),
        (
            ["--model=ResNett"],
            "expected the name or import path of a class, got 'ResNett'; did you mean ResNet?",
        ),
        (
            ["--model.init_args.optimizer=Addam"],
            "optimizer: expected the name or import path of a class, got 'Addam'",
        ),
        (["--trainer.max_epochs=many"], "trainer.max_epochs: expected int, got 'many'"),
        (["--trainer.accelerator=gpux"], "trainer: You selected an invalid accelerator name"),
        (["--model.init_args.num_classes=3"], "expected the data's number of outputs, 4, got num_classes=3"),
        (["--model.init_args.metrics={a: Acuracy}"], "got 'Acuracy'; try Accuracy"),
        (["--checkpoint.monitor=val/nope"], "got 'val/nope'; there are val/"),
        (["--data=ImageFolder", "--data.init_args.data_dir=nowhere"], "got no folder nowhere"),
        (["--data.init_args.batch_size=500", "--data.init_args.drop_last=true"], "lower batch_size"),
        (["--resume=latest"], "expected a run in runs, got 'latest'; runs there: none"),
        (["--resume"], "expected a value after --resume"),
        (["--config=nowhere.yaml"], "nowhere.yaml; see configs/"),
        (
            ["--resume=runs/x/checkpoints/nope.ckpt"],
            "no such checkpoint: runs/x/checkpoints/nope.ckpt",
        ),
        (["--config=typo.yaml"], "no such option: 'trainer.max_epoch'; did you mean trainer.max_epochs?"),
        (
            ["--config=class.yaml"],
            "expected the name or import path of a class, got 'Resnet'; did you mean ResNet?",
        ),
        (["--model.init_args.optimizer=torch.optim.SDG"], "got 'SDG'; did you mean SGD?"),
        (["--model=Xyzzy"], "a class of your own belongs in a file of model, data, callbacks"),
        (["--ckpt_path=nowhere.ckpt"], "no such checkpoint: nowhere.ckpt"),
        (["--name=a/b"], "choose another --name"),
    ],
)
def test_bad_input_is_one_line_with_status_2(
    capsys: pytest.CaptureFixture[str], small: str, args: list[str], message: str
) -> None:
    assert run(["fit", "--config", small, *args]) == 2

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    if "monitor" not in args[0]:  # which is known after the first epoch only
        assert not list(Path().glob("runs/*"))


def test_a_checkpoint_of_another_model_is_refused(capsys: pytest.CaptureFixture[str], small: str) -> None:
    run(["fit", "--config", small, "--trainer.max_epochs=1"])
    path = next(Path("runs").glob("*/checkpoints/last.ckpt"))

    assert run(["test", "--config", small, "--model.init_args.width=8", "--ckpt_path", str(path)]) == 2
    assert "of another model" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_spoils_no_checkpoint(
    capsys: pytest.CaptureFixture[str], small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        run(["fit", "--config", small, "--trainer.max_epochs=1", "--model.init_args.lr_scheduler=null"]) == 0
    )
    path = next(Path("runs").glob("*/checkpoints/last.ckpt"))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        status = run(["fit", "--resume", "latest", "--trainer.max_epochs=2"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert status == 2
    assert "error: cannot write" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_options_of_a_run_become_its_config_and_checkpoint(small: str) -> None:
    run(["fit", "--config", small])
    folder = only_run()

    args, options = expand_run_options(["test", "--run=latest", "--trainer.devices=1"])

    assert args == ["test", "--config", str(folder / "config.yaml"), "--trainer.devices=1"]
    assert options == {"run_folder": folder, "ckpt_path": folder / "checkpoints/best.ckpt"}
    with pytest.raises(InputError, match="expected one of --resume and --init_from, got both"):
        expand_run_options(["fit", "--resume=latest", "--init_from=latest"])
    assert expand_run_options(["fit", "--config", small]) == (["fit", "--config", small], {})


def test_the_class_can_be_used_from_python(small: str) -> None:
    cli = CLI(["fit", "--config", small])

    assert cli.trainer.global_step == 8
    assert isinstance(cli.model, ResNet)
