"""What users do wrong ends in one line and status 2; the log of a run that was begun has the traceback."""

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import wrong_parts
import yaml
from my_project.__main__ import main as run
from my_project.engine.sweep.plan import read_config
from PIL import Image
from support import CONFIG

MODEL, DATA = "model.init_args.", "data.init_args."
OWN: dict[str, Any] = {
    "model": {"class_path": "wrong_parts.Line"},
    "data": {"class_path": "wrong_parts.Rows"},
    "trainer": {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 1},
}


def fit(config: dict[str, Any], *args: str, **changes: Any) -> list[str]:
    """The command line of ``fit``; ``changes`` are dotted keys with ``__`` for points."""
    config = deepcopy(config)
    for key, value in changes.items():
        *above, last = key.split("__")
        place = config
        for name in above:
            place = place.setdefault(name, {})
        place[last] = value
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return ["fit", "--config=config.yaml", "--name=x", *args]


def line_of(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command line ends with; no traceback stands on the terminal."""
    assert run(args) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert line == said.splitlines()[-1]
    return line.removeprefix("error: ")


def logs() -> list[Path]:
    return sorted(Path("runs").glob("*/log.txt"))


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        ("nothing", "Rows.load('train'): expected examples, got none"),
        ("a tuple", "load('train'): expected an Example or an ExampleSet, got a tuple"),
        ("a list", "VectorExample.target: expected a tensor, got a list; convert it with torch.as_tensor"),
        ("an array", "VectorExample.features: expected a tensor, got a ndarray"),
        ("too few", "VectorExample: all fields must have one batch size, got {'target': 30, 'features': 40}"),
        ("a key", "KeyError: 'train' (wrong_parts.py, line "),
        ("a package", "No module named 'no_such_package' (wrong_parts.py, line "),
        ("one", "metric test/r2: ValueError: Needs at least two samples to calculate r2 score"),
    ],
)
def test_data_that_are_wrong(capsys: pytest.CaptureFixture[str], does: str, expected: str) -> None:
    assert expected in line_of(fit(OWN, "--test_after_fit=true", data__init_args__does=does), capsys)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file or directory: data.csv (wrong_parts.py, line "),
        ("", "IndexError: too many indices"),
        ("1,2,x,4\n", "ValueError: could not convert string to float: 'x' (wrong_parts.py, line "),
        (
            "1,2,nan,4\n" * 40,
            "expected a finite loss, got nan at step 1, batch 0 of epoch 0; look for NaN in the data",
        ),
    ],
)
def test_tables_that_are_wrong(
    capsys: pytest.CaptureFixture[str], content: str | None, expected: str
) -> None:
    if content is not None:
        Path("data.csv").write_text(content)

    assert expected in line_of(fit(OWN, data__init_args__does="a table"), capsys)


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        (
            "a tensor",
            "Line.forward: expected a Prediction, got a Tensor; return RegressionPrediction.from_outputs",
        ),
        ("nothing", "Line.forward: expected a Prediction, got a NoneType"),
        (
            "a bare loss",
            "Line.compute_loss: expected a Loss, got a Tensor; return Loss(terms={'name': scalar})",
        ),
        ("no loss", "Line.compute_loss: expected a Loss, got a NoneType"),
        ("a float", "term 'a' must be a scalar tensor, got "),
        ("a vector", "term 'a' must be a scalar tensor, got (3,); take its mean"),
        ("no gradient", "Line.compute_loss: expected a loss with a gradient, got one without"),
        ("a defect", "RuntimeError: Trying to create tensor with negative dimension -3"),
    ],
)
def test_a_model_that_is_wrong(capsys: pytest.CaptureFixture[str], does: str, expected: str) -> None:
    assert expected in line_of(fit(OWN, model__init_args__does=does), capsys)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({MODEL + "criterion": {"class_path": "torch.nn.BCEWithLogitsLoss"}}, "ValueError: Target size"),
        (
            {MODEL + "metrics": {"a": "R2Score"}},
            "metric val/a: RuntimeError: Predictions and targets are expected",
        ),
        (
            {MODEL + "metrics": {"a": "ConfusionMatrix"}},
            "metric val/a: expected a number or one for each output",
        ),
        ({MODEL + "metrics": {"a.b": "Accuracy"}}, "expected a metric's name without a dot, got 'a.b'"),
        ({MODEL + "metrics": {"a": "FrechetInceptionDistance"}}, "needs packages that are not installed"),
        (
            {MODEL + "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": -1}}},
            "Invalid learning rate",
        ),
        ({DATA + "val_split": 2.5}, "expected a share below 1 or a whole number of examples, got 2.5"),
        ({DATA + "augment": {"padding": 16}}, "expected padding below 16 pixels, got 16"),
        ({"trainer.logger": [{"class_path": "MLFlowLogger"}]}, "MLFlowLogger needs mlflow, not installed"),
        ({"num_threads": -1}, "set_num_threads expects a positive integer"),
        ({"seed_everything": -1}, "-1 is not in bounds"),
    ],
)
def test_values_that_are_wrong(
    capsys: pytest.CaptureFixture[str], changes: dict[str, Any], expected: str
) -> None:
    dotted = {key.replace(".", "__", 2): value for key, value in changes.items()}

    assert expected in line_of(fit(CONFIG, **dotted), capsys)


TOO_SMALL = {
    "model.init_args.width": (0, "width of at least 1"),
    "model.init_args.stem_stride": (0, "stem_stride of at least 1"),
    "model.init_args.depths": ([0, -1], "depths[1] of at least 0"),
    "data.init_args.batch_size": (0, "batch_size of at least 1"),
    "data.init_args.num_workers": (-1, "num_workers of at least 0"),
    "data.init_args.num_train": (-3, "num_train of at least 1"),
    "data.init_args.num_classes": (0, "num_classes of at least 1"),
    "data.init_args.augment.padding": (-1, "padding of at least 0"),
    "data.init_args.augment.cutout": (-1, "cutout of at least 0"),
    "trainer.check_val_every_n_epoch": (0, "trainer.check_val_every_n_epoch of at least 1"),
    "trainer.log_every_n_steps": (-1, "trainer.log_every_n_steps of at least 0"),
    "trainer.gradient_clip_val": (-0.5, "trainer.gradient_clip_val of at least 0"),
    "trainer.accumulate_grad_batches": (0, "trainer.accumulate_grad_batches of at least 1"),
    "checkpoint.every_n_epochs": (0, "every_n_epochs of at least 1"),
}


@pytest.mark.parametrize("key", TOO_SMALL)
def test_numbers_that_are_too_small_are_refused(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    value, expected = TOO_SMALL[key]

    line = line_of(fit(CONFIG, f"--{key}={value}"), capsys)

    got = value[-1] if isinstance(value, list) else value
    assert f"expected {expected}, got {got}" in line
    assert not list(Path("runs").glob("*/checkpoints/*"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "expected keys and values in c.yaml, got none; see configs/"),
        (b"- a\n", "expected keys and values in c.yaml, got ['a']"),
        (b"a: [1\nb: }{", "expected YAML in c.yaml, got: while parsing a flow sequence line 1, column 4"),
        (
            b"a:\n\tb: 1\n",
            "expected YAML in c.yaml, got: while scanning for the next token found character '\\t'",
        ),
        ("a: 1\n".encode("utf-16"), "expected UTF-8 text in c.yaml, got invalid start byte (byte 0)"),
        (b"# caf\xe9\n", "expected UTF-8 text in c.yaml, got invalid continuation byte (byte 5)"),
        (b"model: {class_path: nopackage.Net}", "no module named 'nopackage'"),
    ],
)
def test_configs_that_are_wrong(capsys: pytest.CaptureFixture[str], content: bytes, expected: str) -> None:
    Path("c.yaml").write_bytes(content)

    assert expected in line_of(["fit", "--config=c.yaml", "--data=Fake"], capsys)


def test_a_config_from_another_system_is_taken() -> None:
    fit(CONFIG)
    text = Path("config.yaml").read_text()
    Path("other.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    assert run(["fit", "--config=other.yaml"]) == 0


@pytest.mark.parametrize(
    ("source", "expected"), [("class A(:", "SyntaxError"), ("1 / 0", "ZeroDivisionError")]
)
def test_a_module_that_cannot_be_imported_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, source: str, expected: str
) -> None:
    monkeypatch.syspath_prepend(".")
    name = f"broken_{expected.lower()}"
    Path(f"{name}.py").write_text(source)

    line = line_of(["fit", f"--model={name}.Net", "--data=Fake"], capsys)
    assert line.startswith(f"{name}.Net cannot be imported: {expected}")
    assert line.endswith(f"({name}.py, line 1)")


def test_plain_loaders_are_refused_by_a_model_that_takes_examples(capsys: pytest.CaptureFixture[str]) -> None:
    line = line_of(fit(OWN, data={"class_path": "wrong_parts.Plain"}), capsys)

    assert line.startswith("Line takes an Example, the datamodule gives a list")


def test_an_argument_that_gets_lost_on_its_way_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"class_path": "wrong_parts.Changed", "init_args": {"batch_size": 8}}

    line = line_of(fit(CONFIG, data=data), capsys)
    assert line.startswith("data: batch_size cannot be an option, since Changed changes its **kwargs")


def test_the_traceback_is_in_the_log_of_the_run_and_holds_no_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing = {"class_path": "wrong_parts.At", "init_args": {"does": "fail", "url": "http://me:5ec7e7@host"}}

    line = line_of(fit(OWN, trainer__callbacks=[failing]), capsys)

    (path,) = logs()
    assert line.endswith(f"; the traceback is in {path}")
    text = path.read_text()
    assert "Traceback (most recent call last)" in text
    assert "http://***@host" in text
    assert "5ec7e7" not in text


def test_a_run_folder_that_vanishes_is_not_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = [{"class_path": "wrong_parts.At", "init_args": {"does": "move"}}]

    line = line_of(fit(OWN, trainer__callbacks=callbacks), capsys)

    assert "as it was left, got none: it was moved or removed during the run" in line
    assert [path.name for path in Path("runs").iterdir()] == ["moved"]
    assert (Path("runs/moved/metrics.csv")).read_text().count("\n") > 1


@pytest.mark.filterwarnings("default")
def test_a_warning_of_python_is_said_once_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = [{"class_path": "wrong_parts.At", "init_args": {"does": "warn"}}]

    assert run(fit(OWN, trainer__callbacks=callbacks)) == 0

    (line,) = [line for line in capsys.readouterr().err.splitlines() if "Warning" in line]
    assert line.startswith("UserWarning: Using a target size (torch.Size([3])) that is different")
    assert line.endswith(f"({Path(wrong_parts.__file__).name}, line {line.rpartition(' ')[2]}")
    assert "Using a target size" in logs()[0].read_text()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["x.csv", "--batch_size=0"], "expected batch_size of at least 1, got 0"),
        (["x.csv", "--output=none/x.csv"], "No such file or directory: none/x.csv"),
        (["none.csv"], "No such file or directory: none.csv"),
        (["."], "Is a directory: ."),
        (["image.png"], "cannot predict image.png: UnicodeDecodeError"),
        (["few.csv"], "cannot predict few.csv: RuntimeError: addmm: mat1 and mat2 shapes"),
        (["words.csv"], "cannot predict words.csv: ValueError: could not convert string to float: 'a'"),
    ],
)
def test_what_cannot_be_predicted_is_named(
    capsys: pytest.CaptureFixture[str], trained: Path, args: list[str], expected: str
) -> None:
    Image.new("RGB", (8, 8)).save("image.png")
    for name, text in (("x.csv", "1,2,3\n"), ("few.csv", "1,2\n"), ("words.csv", "1,2,a\n")):
        Path(name).write_text(text)

    assert line_of(["predict", str(trained), *args], capsys).startswith(expected)
    assert not Path("predictions.csv").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model of rows, whose datamodule reads lines of three numbers."""
    folder, here = tmp_path_factory.mktemp("trained"), Path.cwd()
    os.chdir(folder)
    try:
        assert run(fit(OWN, data={"class_path": "wrong_parts.Readable"})) == 0
    finally:
        os.chdir(here)
    return next(folder.glob("runs/*/checkpoints/last.ckpt"))


def test_an_environment_of_ascii_says_what_it_lacks() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", package.__name__, *fit(CONFIG)]

    def status() -> tuple[int, str]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        return done.returncode, done.stderr

    Path("config.yaml").write_text(Path("config.yaml").read_text() + "# é\n", encoding="utf-8")
    assert status() == (
        2,
        "error: expected a UTF-8 environment, got ascii; unset PYTHONUTF8, or set LC_ALL=C.UTF-8\n",
    )


def test_the_number_of_trials_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    search = {
        "metric": "val/loss",
        "sampler": "random",
        "trials": 3,
        "base": "c.yaml",
        "space": {"x": [1, 2]},
    }
    Path("s.yaml").write_text(yaml.safe_dump(search))

    assert read_config(Path("s.yaml"))[0]["num_trials"] == 3
    assert read_config(Path("s.yaml"), 8)[0]["num_trials"] == 8
    assert "invalid int value: 'x'" in line_of(["sweep", "--config=s.yaml", "--trials", "x"], capsys)
    assert "trials: expected a whole number of at least 1" in line_of(
        ["sweep", "--config=s.yaml", "--trials=0"], capsys
    )
    Path("s.yaml").write_text(yaml.safe_dump(search | {"sampler": "grid"}))
    assert "--trials: expected none for a grid" in line_of(["sweep", "--config=s.yaml", "--trials=8"], capsys)
