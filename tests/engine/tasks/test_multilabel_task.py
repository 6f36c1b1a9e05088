"""Images with several labels by the real command line: the demo, a kill, two processes, prediction."""

import os
from importlib.util import find_spec
from pathlib import Path

import my_project as package
import numpy as np
import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.model import load_model
from my_project.structs import ImageExample
from PIL import Image
from support import axes_of
from task_runs import KILLER, fit_config, numbers_of, rows_of

CONFIG = Path(package.__file__).parents[1] / "configs/multi_digits.yaml"
if not CONFIG.is_file():
    pytest.skip("the project has no images with several labels", allow_module_level=True)

from my_project.data.multi_digits import MultiDigits  # noqa: E402 # only there with the task

# Without batch normalisation, whose statistics are those of a process.
MODEL = """
from torch import nn
from my_project.model import BaseModel
from my_project.structs import MultilabelPrediction

class Linear(BaseModel):
    prediction_class = MultilabelPrediction

    def __init__(self, *, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.net = nn.Linear(24 * 24, num_classes)

    def forward(self, example):
        return MultilabelPrediction(logits=self.net(example.image.flatten(1) / 128))
"""
SHORT = [
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--trainer.max_epochs=3",
    "--data.init_args.num_train=400",
    "--data.init_args.num_eval=101",  # divides neither by the batch nor by the processes
    "--model.init_args.width=8",
]


def fit(name: str, *options: str, code: int = 0) -> Path:
    return fit_config(CONFIG, name, *options, code=code)


def pictures_of(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in (run / "figures").rglob("step-*")}


def average_precision(probs: np.ndarray, target: np.ndarray) -> float:
    """The mean over the labels of the mean precision at each right example, by their order."""
    found = []
    for label in range(target.shape[1]):
        true = target[np.argsort(-probs[:, label], kind="stable"), label]
        precision = true.cumsum() / np.arange(1, len(true) + 1)
        found.append(precision[true > 0].mean())
    return float(np.mean(found))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("multilabel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return fit("demo", "--trainer.accelerator=cpu", "--trainer.logger=false").resolve()


def test_the_demo_finds_the_digits_and_shows_each_label(trained: Path) -> None:
    assert numbers_of(trained)[-1]["test/map"] >= 0.95
    for split in ("val", "test"):
        assert list((trained / "figures" / split / "precision_recall").glob("*.png"))
        assert list((trained / "figures" / split / "worst").glob("*.png"))
    assert "test/precision_recall" in (trained / "report.html").read_text()


def test_predict_writes_a_probability_for_each_label(trained: Path) -> None:
    data = MultiDigits(val_split=0.1, test_split=0.2, seed=42)
    example = data.load("test")
    Path("pictures").mkdir()
    for number, picture in enumerate(example.image.numpy()):
        Image.fromarray(picture[0]).save(f"pictures/{number:04d}.png")

    assert main(["predict", str(trained), "pictures"]) == 0

    rows = rows_of(Path("predictions.csv"))
    names = [str(digit) for digit in range(10)]
    assert list(rows[0]) == ["path", *names]
    assert [Path(row["path"]).stem for row in rows] == [f"{number:04d}" for number in range(1000)]
    probs = np.array([[float(row[name]) for name in names] for row in rows])
    assert example.target is not None
    target = example.target.numpy()
    assert average_precision(probs, target) == pytest.approx(numbers_of(trained)[-1]["test/map"], abs=1e-3)


def test_a_model_is_exported_with_a_batch_of_any_size(trained: Path) -> None:
    model = load_model(trained / "checkpoints/best.ckpt")
    pictures = MultiDigits(val_split=0.1, test_split=0.2, seed=42).load("test").image
    few = ImageExample(image=pictures[:4])
    axes = axes_of(few, image={0: torch.export.Dim("batch", min=1, max=64)})

    exported = torch.export.export(model, (few,), dynamic_shapes=axes)

    for size in (1, 7):
        example = ImageExample(image=pictures[:size])
        torch.testing.assert_close(exported.module()(example).logits, model(example).logits)


@pytest.mark.faults
@pytest.mark.skipif(find_spec("my_project.engine.sweep") is None, reason="the project has no engine/sweep")
def test_a_search_goes_over_its_width() -> None:
    search = {
        "metric": "val/map",
        "direction": "maximize",
        "sampler": "grid",
        "base": [str(CONFIG)],
        "space": {"model.init_args.width": [4, 8]},
    }
    Path("search.yaml").write_text(yaml.safe_dump(search))

    assert main(["sweep", "--config=search.yaml", "--workers=1", *SHORT[:-1]]) == 0

    (table,) = Path("runs/sweeps").rglob("sweep.csv")
    values = [float(row["val/map"]) for row in rows_of(table)]
    assert len(values) == 2
    assert all(0 < value < 1 for value in values)


@pytest.mark.faults
def test_killed_inside_an_epoch_it_ends_as_the_undisturbed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    Path("killer.py").write_text(KILLER)
    options = [*SHORT, "--checkpoint.every_n_train_steps=2", "--trainer.log_every_n_steps=2"]
    whole = fit("whole", *options)
    fit("killed", *options, "--trainer.callbacks+=killer.KillAt", "--trainer.callbacks.step=9", code=-9)
    (killed,) = Path("runs").glob("*-killed")
    assert len(numbers_of(killed)) < len(numbers_of(whole))

    assert main(["fit", "--resume=killed"]) == 0

    assert numbers_of(killed) == numbers_of(whole)
    weights = [torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (killed, whole)]
    torch.testing.assert_close(weights[0]["state_dict"], weights[1]["state_dict"], rtol=0, atol=0)
    assert any("precision_recall" in name for name in pictures_of(whole))
    assert pictures_of(killed) == pictures_of(whole)


@pytest.mark.faults
def test_two_processes_log_and_show_what_one_does_with_twice_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(Path().resolve())]))
    Path("own.py").write_text(MODEL)
    options = [*SHORT[:-1], "--model=own.Linear", "--trainer.log_every_n_steps=2"]
    one = fit("one", *options, "--data.init_args.batch_size=32", "--trainer.devices=1")
    two = fit(
        "two", *options, "--data.init_args.batch_size=16", "--trainer.devices=2", "--trainer.strategy=ddp"
    )

    expected = numbers_of(one)
    assert len(expected) > 3
    for got, row in zip(numbers_of(two), expected, strict=True):
        assert got == pytest.approx(row, rel=1e-4, abs=1e-5)
    pictures = [name for name in pictures_of(one) if "precision_recall" in name]
    assert {name.split("/")[1] for name in pictures} == {"val", "test"}
    assert pictures_of(two).keys() == pictures_of(one).keys()
    for name in pictures:
        images = [np.asarray(Image.open(run / name)).astype(int) for run in (one, two)]
        assert np.abs(images[0] - images[1]).mean() < 0.1, name  # a rounding may move one example by a bin
