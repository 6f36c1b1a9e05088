"""Masks from a folder to a report: against NumPy, on two processes, after a kill, in a search."""

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import my_project as package
import numpy as np
import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.engine.images.image_files import read_image
from my_project.model import load_model
from my_project.structs import ImageExample
from PIL import Image
from processes import DDP, assert_equal_runs, finish, only_run, start, wait_for

pytest.importorskip("my_project.data.masks", reason="the task is not rendered")
VALUES = (0, 3, 9)
NAMES = ("soil", "corn", "weed")
CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "test_after_fit": True,
    "num_threads": 1,
    "checkpoint": {"every_n_train_steps": 3},
    "model": {
        "class_path": "UNet",
        "init_args": {
            "width": 6,
            "depth": 1,
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.02}},
            "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.02}},
            "metrics": {
                "miou": "JaccardIndex",
                "iou": {"class_path": "JaccardIndex", "init_args": {"average": "none"}},
                "accuracy": "Accuracy",
                "uce": "UncertaintyCalibrationError",
            },
        },
    },
    "data": {
        "class_path": "Masks",
        "init_args": {
            "data_dir": "fields",
            "image_size": 16,
            "classes": dict(zip(NAMES, VALUES, strict=True)),
            "ignore_index": 255,
            "batch_size": 8,
            "augment": {"padding": 2, "flip": True},
        },
    },
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 8,
        "log_every_n_steps": 2,
        "callbacks": [
            {"class_path": "TopKImages", "init_args": {"k": 4, "every_n_train_steps": 3}},
            {"class_path": "ConfusionMatrix"},
            {"class_path": "ErrorVsEntropy"},
        ],
    },
}
# Without batch normalisation, whose statistics are those of a process.
MODEL = f"""
import os, time
from torch import nn
from {package.__name__}.model import BaseModel
from {package.__name__}.structs import MulticlassPrediction

class Plain(BaseModel):
    def __init__(self, *, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.net = nn.Conv2d(3, num_classes, 3, padding=1)

    def forward(self, example):
        time.sleep(float(os.environ.get("PACE_S", 0)))
        return MulticlassPrediction(logits=self.net(example.image / 255))
"""


def write_fields(folder: Path, num: int, seed: int) -> None:
    """Noise of a colour for each class; a fifth of the pixels is 255, a lot in some, little in others."""
    generator = np.random.default_rng(seed)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(num):
        places = np.kron(generator.integers(0, 3, (4, 4)), np.ones((4, 4), dtype=int))
        colours = np.eye(3)[places] * 90 + generator.integers(0, 160, (16, 16, 3))
        mask = np.array(VALUES)[places]
        mask[generator.random((16, 16)) < generator.choice([0.02, 0.4])] = 255
        Image.fromarray(colours.astype(np.uint8)).save(folder / "images" / f"{number:02}.png")
        Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{number:02}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, config and a run of one process."""
    folder, before = tmp_path_factory.mktemp("masks"), Path.cwd()
    for number, (split, num) in enumerate((("train", 43), ("val", 13), ("test", 21))):
        write_fields(folder / "fields" / split, num, seed=number)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (folder / "own.py").write_text(MODEL)
    os.chdir(folder)
    try:
        finish(start("--config=config.yaml", "--name=whole"))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That run; the test goes on in its folder."""
    monkeypatch.chdir(folder)
    return only_run("whole")


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def counts_of(predicted: list[np.ndarray], split: str) -> np.ndarray:
    """Pixels by true and predicted class, of the files themselves."""
    counts = np.zeros((3, 3), dtype=int)
    for path, classes in zip(sorted(Path("fields", split, "masks").iterdir()), predicted, strict=True):
        mask = np.array(Image.open(path))
        for place, value in enumerate(VALUES):
            for other in range(3):
                counts[place, other] += ((mask == value) & (classes == other)).sum()
    return counts


def test_its_numbers_are_those_of_the_pixels_that_count(run: Path) -> None:
    model = load_model(run / "checkpoints/best.ckpt")
    predicted = []
    for path in sorted(Path("fields/test/images").iterdir()):
        pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)
        with torch.no_grad():
            predicted.append(model(ImageExample(image=pixels[None])).logits[0].argmax(0).numpy())

    counts = counts_of(predicted, "test")
    iou = [counts[c, c] / (counts[c].sum() + counts[:, c].sum() - counts[c, c]) for c in range(3)]
    logged = rows_of(run)[-1]
    assert float(logged["test/miou"]) == pytest.approx(np.mean(iou), abs=2e-6)
    for name, value in zip(NAMES, iou, strict=True):
        assert float(logged[f"test/iou/{name}"]) == pytest.approx(value, abs=2e-6)
    assert float(logged["test/accuracy"]) == pytest.approx(np.trace(counts) / counts.sum(), abs=2e-6)
    assert np.mean(iou) > 0.5
    assert 0.1 < 1 - counts.sum() / (21 * 256) < 0.35  # what is ignored


def test_its_pictures_show_the_true_masks_beside_the_predicted_ones(run: Path) -> None:
    for split in ("val", "test", "train"):
        sheet = json.loads(max(run.glob(f"figures/{split}/worst/step-*.json")).read_text())
        assert len(sheet["images"]) == 4
        assert all("% correct" in image["caption"] for image in sheet["images"])
    for name in ("confusion_matrix", "error_vs_entropy"):
        assert list(run.glob(f"figures/test/{name}/step-*.png"))


@pytest.mark.usefixtures("run")
def test_predict_writes_masks_in_the_values_of_those_it_learned_from() -> None:
    assert main(["predict", str(only_run("whole")), "fields/test/images", "--output=out.csv"]) == 0

    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [
        str(path) for path in sorted(Path("fields/test/images").iterdir())
    ]
    predicted = [np.array(Image.open(row["image"])) for row in rows]
    assert {value for mask in predicted for value in np.unique(mask).tolist()} == set(VALUES)
    assert [row["image"] for row in rows] == [f"out/{number:02}.png" for number in range(21)]
    for row, mask in zip(rows, predicted, strict=True):
        shares = [(mask == value).mean() for value in VALUES]
        assert [float(row[name]) for name in NAMES] == pytest.approx(shares, abs=1e-6)
        assert row["class"] == NAMES[int(np.argmax(shares))]
    classes = [np.searchsorted(VALUES, mask) for mask in predicted]
    accuracy = float(rows_of(only_run("whole"))[-1]["test/accuracy"])
    counts = counts_of(classes, "test")
    assert np.trace(counts) / counts.sum() == pytest.approx(accuracy, abs=2e-6)


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.usefixtures("run")
def test_a_predicted_mask_has_the_size_of_its_photo(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    small = Image.open("fields/test/images/00.png")
    photo = Image.new("RGB", (111, 67), "red")
    photo.paste(small.resize((64, 64), Image.Resampling.NEAREST), (24, 2))  # what the model sees: 67 x 67
    Path("photos").mkdir(exist_ok=True)
    photo.save("photos/odd.png", exif=exif)

    assert main(["predict", str(only_run("whole")), "photos", "--output=odd.csv"]) == 0

    mask = Image.open("odd/odd.png")
    assert mask.mode == "P"
    assert mask.size == ((67, 111) if turn == 6 else (111, 67))
    ahead = load_model(only_run("whole") / "checkpoints/best.ckpt")
    seen = read_image(Path("photos/odd.png"), (3, 16, 16))
    with torch.no_grad():
        classes = ahead(ImageExample(image=seen[None])).logits[0].argmax(0).numpy()
    shape = mask.size[::-1]
    tops = [(size - 67) / 2 for size in shape]
    for place in np.ndindex(*shape):
        row, column = ((one + 0.5 - top) * 16 / 67 for one, top in zip(place, tops, strict=True))
        if 0 <= row < 16 and 0 <= column < 16:
            if 8 not in (row, column):  # in the middle between two
                assert mask.getpixel(place[::-1]) == VALUES[classes[int(row), int(column)]]
        else:
            assert mask.getpixel(place[::-1]) == 255  # its ignore_index
    assert (np.array(mask) == 255).sum() == 67 * 44
    rgb = np.array(mask.convert("RGB"))
    assert (rgb[np.array(mask) == 255] == 255).all()


@pytest.mark.faults
def test_a_killed_run_goes_on_bit_by_bit(run: Path) -> None:
    process = start("--config=config.yaml", "--name=killed")
    wait_for(lambda: list(Path("runs").glob("*-killed/checkpoints/last.ckpt")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    finish(start("--resume=latest"))

    assert_equal_runs(run, only_run("killed"))


@pytest.mark.usefixtures("run")
@pytest.mark.faults
def test_two_processes_give_the_numbers_of_one() -> None:
    options = [
        "--config=config.yaml",
        "--model=own.Plain",
        "--trainer.max_epochs=2",
        "--data.init_args.drop_last=true",
    ]
    finish(start(*options, "--name=one"))
    finish(start(*options, "--name=two", "--data.init_args.batch_size=4", *DDP))

    expected, got = rows_of(only_run("one")), rows_of(only_run("two"))
    assert len(expected) == len(got) > 5
    for one, two in zip(expected, got, strict=True):
        assert one.keys() == two.keys()
        for key, value in one.items():
            assert (two[key] == "") == (value == ""), key
            assert value == "" or float(two[key]) == pytest.approx(float(value), rel=1e-4, abs=1e-5), key
    for split in ("val", "test"):
        (one,) = (max(only_run(name).glob(f"figures/{split}/confusion_matrix/*.png")) for name in ("one",))
        two = max(only_run("two").glob(f"figures/{split}/confusion_matrix/*.png"))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.usefixtures("run")
@pytest.mark.faults
def test_a_search_goes_over_its_width() -> None:
    search = {
        "metric": "val/miou",
        "direction": "maximize",
        "sampler": "grid",
        "base": ["config.yaml"],
        "space": {"model.init_args.width": [2, 4], "trainer.max_epochs": 1},
    }
    Path("search.yaml").write_text(yaml.safe_dump(search))

    assert main(["sweep", "--config=search.yaml", "--name=widths"]) == 0

    (table,) = Path("runs/sweeps").glob("widths/*.csv")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(0 < float(row["val/miou"]) < 1 for row in rows)
