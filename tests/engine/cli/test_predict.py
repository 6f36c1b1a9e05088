import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from my_project.__main__ import main as run
from my_project.model import load_model
from my_project.structs import ImageExample
from PIL import Image
from support import MakeFake, MakeNet, MakeTrainer


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
        (["model.ckpt", "nowhere"], "expected an image file or a folder with images, got nowhere"),
        (["broken.ckpt", "photos"], "expected a whole checkpoint, got broken.ckpt"),
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
            "was trained on pytorch_lightning.LightningDataModule, which reads no files",
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
