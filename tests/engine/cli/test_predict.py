import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.__main__ import main as run
from my_project.model import BaseModel, load_model
from my_project.model.resnet import ResNet
from my_project.structs import DataDescription, ImageExample, MulticlassPrediction
from PIL import Image
from support import MakeFake, MakeNet, MakeTrainer
from torch import nn


@pytest.fixture
def checkpoint(make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet) -> str:
    trainer = make_trainer(max_epochs=2)
    trainer.fit(make_net(), make_fake())
    trainer.save_checkpoint("model.ckpt")
    return "model.ckpt"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in ("b.png", "a.png", "deep/c.png"):
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name)
    return folder


def read(path: str = "predictions.csv") -> list[dict[str, str]]:
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def test_a_checkpoint_and_a_folder_are_all_it_needs(checkpoint: str, photos: Path) -> None:
    assert run(["predict", checkpoint, str(photos), "--batch_size=2"]) == 0

    rows = read()
    assert [row["path"] for row in rows] == [str(photos / name) for name in ("a.png", "b.png", "deep/c.png")]
    model = load_model(checkpoint)
    pixels = [torch.from_numpy(np.array(Image.open(row["path"]))).permute(2, 0, 1) for row in rows]
    with torch.no_grad():
        expected = model(ImageExample(image=torch.stack(pixels)))
    probs = torch.tensor([[float(row[name]) for name in model.data.class_names] for row in rows])
    torch.testing.assert_close(probs, expected.probs, rtol=0, atol=1e-5)
    assert [row["class"] for row in rows] == [
        model.data.class_names[index] for index in expected.classes.tolist()
    ]
    entropy = torch.tensor([float(row["entropy"]) for row in rows])
    torch.testing.assert_close(entropy, expected.entropy, rtol=0, atol=1e-5)
    top = torch.tensor([float(row["probability"]) for row in rows])
    torch.testing.assert_close(top, expected.confidence, rtol=0, atol=1e-5)


def test_one_image_goes_where_it_is_told(checkpoint: str, photos: Path) -> None:
    assert run(["predict", checkpoint, str(photos / "a.png"), "--output=out.csv"]) == 0

    assert len(read("out.csv")) == 1


def test_files_patterns_and_folders_are_predicted_in_their_order(checkpoint: str, photos: Path) -> None:
    words = [str(photos / "deep"), str(photos / "[ab]*.png"), str(photos / "b.png")]

    assert run(["predict", checkpoint, *words, "--batch_size=2"]) == 0

    assert [row["path"] for row in read()] == [
        str(photos / name) for name in ("deep/c.png", "a.png", "b.png")
    ]
    one_by_one = {}
    for name in ("a.png", "b.png", "deep/c.png"):
        run(["predict", checkpoint, str(photos / name), "--output=one.csv"])
        one_by_one[str(photos / name)] = read("one.csv")[0]
    for row in read():
        expected = one_by_one[row["path"]]
        assert row.keys() == expected.keys()
        assert float(row["probability"]) == pytest.approx(float(expected["probability"]), abs=2e-6)
        assert row["class"] == expected["class"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(checkpoint: str, photos: Path) -> None:
    (photos / "a.png").rename(photos / "[b].png")

    assert run(["predict", checkpoint, str(photos / "[b].png")]) == 0

    assert [row["path"] for row in read()] == [str(photos / "[b].png")]


def test_of_several_paths_the_bad_ones_are_skipped_on_request_and_all_are_listed(
    checkpoint: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("predictions.csv.skipped.txt").write_text("of another run\n")
    bad = photos / "deep" / "bad.png"
    bad.write_bytes(b"no image")
    words = [str(photos / "nothing"), str(photos / "deep"), str(bad), str(photos / "a.png")]

    assert run(["predict", checkpoint, *words]) == 2
    assert not Path("predictions.csv").exists()
    assert run(["predict", checkpoint, *words, "--on_error=skip"]) == 0

    assert [row["path"] for row in read()] == [str(photos / "deep/c.png"), str(photos / "a.png")]
    listed = Path("predictions.csv.skipped.txt").read_text().splitlines()
    assert listed == [str(photos / "nothing"), str(bad), str(bad)]
    assert f"skipped {photos / 'nothing'}: expected an image file or a folder" in capsys.readouterr().err


def test_batches_are_filled_over_several_files(
    checkpoint: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = ResNet.forward

    def counting(model: ResNet, example: ImageExample) -> MulticlassPrediction:
        sizes.append(len(example))
        return forward(model, example)

    monkeypatch.setattr(ResNet, "forward", counting)
    names = ("a.png", "b.png", "deep/c.png")

    assert run(["predict", checkpoint, *(str(photos / name) for name in names), "--batch_size=2"]) == 0

    assert sizes == [2, 1]


def test_columns_are_distinct_whatever_the_classes_are_called(checkpoint: str, photos: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    names = {"class_names": ("path", "class", "image", "image")}
    torch.save({**content, "data": {**content["data"], **names}}, checkpoint)

    assert run(["predict", checkpoint, str(photos / "a.png")]) == 0

    (row,) = read()
    columns = ["path", "class", "probability", "entropy", "path (0)", "class (1)", "image (2)", "image (3)"]
    assert list(row) == columns
    assert row["path"] == str(photos / "a.png")
    assert row["class"] in names["class_names"]


def test_a_column_of_a_prediction_never_hides_the_path(
    checkpoint: str, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        MulticlassPrediction, "columns", lambda self, names: {"path": ["straight on"] * len(self)}
    )

    assert run(["predict", checkpoint, str(photos / "a.png")]) == 0

    assert read() == [{"path": str(photos / "a.png"), "path (predicted)": "straight on"}]


@pytest.fixture
def pixels(make_trainer: MakeTrainer, make_fake: MakeFake) -> str:
    """A checkpoint of a model that says a class for each pixel: 2 where it is red, else 0."""
    data, model = make_fake(), Pixels(num_classes=4)
    make_trainer(limit_train_batches=0, limit_val_batches=0).fit(model, data)
    trainer = make_trainer(limit_val_batches=0, max_steps=0)
    trainer.fit(model, data)
    trainer.save_checkpoint("pixels.ckpt")
    return "pixels.ckpt"


class Pixels(BaseModel):
    """A fixed answer for each pixel."""

    def __init__(self, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(data=DataDescription(num_outputs=num_classes), **kwargs)
        self.head = nn.Linear(1, 1)

    def forward(self, example: ImageExample) -> MulticlassPrediction:
        red = (example.image[:, :1] > 127).float()
        none = torch.zeros_like(red)
        return MulticlassPrediction(logits=torch.cat([1 - red, none, red, none - 1], dim=1))


def mask_of(path: Path) -> np.ndarray:
    return np.where(np.array(Image.open(path).convert("RGB"))[..., 0] > 127, 2, 0)


def test_masks_have_the_names_of_their_images_without_collisions(pixels: str, photos: Path) -> None:
    other = photos.parent / "other"
    other.mkdir()
    Image.new("RGB", (8, 8), "red").save(other / "a.png")
    Image.new("RGB", (8, 8), "red").save(photos / "a.bmp")
    Path("predictions").mkdir()
    Path("predictions/mine.txt").write_text("mine")

    assert run(["predict", pixels, str(photos), str(other / "a.png")]) == 0

    masks = {row["path"]: row["image"] for row in read()}
    assert masks == {
        str(photos / "a.bmp"): "predictions/photos/a.png",
        str(photos / "a.png"): "predictions/photos/a.png.png",
        str(photos / "b.png"): "predictions/photos/b.png",
        str(photos / "deep/c.png"): "predictions/photos/deep/c.png",
        str(other / "a.png"): "predictions/other/a.png",
    }
    for path, mask in masks.items():
        written = Image.open(mask)
        assert written.mode == "P"
        np.testing.assert_array_equal(np.array(written), mask_of(Path(path)))
    assert {path.name for path in Path("predictions").iterdir()} == {"mine.txt", "photos", "other"}
    assert [path for path in Path().iterdir() if path.name.startswith(".predictions")] == []


def test_masks_of_a_failed_prediction_leave_the_old_ones(pixels: str, photos: Path) -> None:
    run(["predict", pixels, str(photos / "a.png")])
    before = {
        path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.suffix != ".txt"
    }
    Image.new("RGB", (8, 8), "red").save(photos / "a.png")
    (photos / "deep/c.png").write_bytes(b"no image")

    assert run(["predict", pixels, str(photos), "--batch_size=1"]) == 2

    after = {
        path: path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.suffix != ".txt"
    }
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {photos.relative_to(Path.cwd()) / name for name in ("a.png", "deep/c.png")}
    assert run(["predict", pixels, str(photos / "a.png")]) == 0
    np.testing.assert_array_equal(np.array(Image.open("predictions/a.png")), mask_of(photos / "a.png"))


def test_corrupt_images_are_counted_and_the_old_file_stays(
    checkpoint: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("predictions.csv").write_text("old")
    (photos / "b.png").write_bytes(b"no image")
    (photos / "deep/c.png").write_bytes(b"")

    assert run(["predict", checkpoint, str(photos), "--batch_size=1"]) == 2

    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "got 2 that cannot be read" in line
    assert "photos/b.png" in line
    assert "photos/deep/c.png" in line
    assert "--on_error=skip" in line
    assert Path("predictions.csv").read_text() == "old"
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize("batch_size", [1, 2, 9])
def test_corrupt_images_are_skipped_on_request(
    checkpoint: str, photos: Path, capsys: pytest.CaptureFixture[str], batch_size: int
) -> None:
    run(["predict", checkpoint, str(photos), "--output=all.csv"])
    (photos / "b.png").write_bytes(b"no image")

    assert run(["predict", checkpoint, str(photos), "--on_error=skip", f"--batch_size={batch_size}"]) == 0

    assert read() == [row for row in read("all.csv") if not row["path"].endswith("b.png")]
    assert Path("predictions.csv.skipped.txt").read_text() == f"{photos / 'b.png'}\n"
    said = capsys.readouterr().err
    assert "skipped 1 of 3 images" in said
    assert "2 predictions" in said


def test_skipping_all_images_is_an_error(
    checkpoint: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in photos.rglob("*.png"):
        path.write_bytes(b"")

    assert run(["predict", checkpoint, str(photos), "--on_error=skip"]) == 2

    assert "got 3 that cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere.ckpt", "photos"], "no such checkpoint: nowhere.ckpt"),
        (["latest", "photos"], "got 'latest'; runs there: none"),
        (["model.ckpt", "photos/*.tif"], "expected files that match 'photos/*.tif', got none"),
        (["model.ckpt", "nowhere"], "expected an image file or a folder with images, got nowhere"),
        (["broken.ckpt", "photos"], "broken.ckpt is truncated or not a checkpoint"),
        (
            ["model.ckpt", "photos", "--device=gpu"],
            "a device of this machine, such as cpu, cuda or mps, got 'gpu'",
        ),
        (
            ["model.ckpt", "photos", "--device=meta"],
            "a device of this machine, such as cpu, cuda or mps, got 'meta'",
        ),
        pytest.param(
            ["model.ckpt", "photos", "--device=cuda"],
            "a device of this machine, such as cpu, cuda or mps, got 'cuda'; ",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
@pytest.mark.usefixtures("checkpoint", "photos")
def test_refuses(capsys: pytest.CaptureFixture[str], args: list[str], message: str) -> None:
    Path("broken.ckpt").write_bytes(Path("model.ckpt").read_bytes()[:100])

    assert run(["predict", *args]) == 2

    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("data_class", "message"),
    [
        (
            "my_project.data.BatchedData",
            "BatchedData reads no files; to predict, define its classmethod",
        ),
        (
            "pytorch_lightning.LightningDataModule",
            "was trained on pytorch_lightning.LightningDataModule, which cannot read files",
        ),
        ("my_project.data.Gone", "expected a class of this project in model.ckpt, got my_project.data.Gone"),
    ],
)
def test_a_datamodule_that_reads_nothing_is_one_line(
    checkpoint: str, photos: Path, capsys: pytest.CaptureFixture[str], data_class: str, message: str
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "data_class": data_class}, checkpoint)

    assert run(["predict", checkpoint, str(photos)]) == 2

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert not Path("predictions.csv").exists()
