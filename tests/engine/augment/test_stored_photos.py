"""Photos of all shapes, stored whole: what training, validation and ``predict`` see of them."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.data.augment import Augment
from my_project.data.image_folder import ImageFolder
from my_project.engine.augment import PhotoAugment
from my_project.engine.cli.start import main
from my_project.engine.errors import InputError
from my_project.engine.show_batch import see, sheet
from PIL import Image, ImageOps
from support import PROJECT

SIZES = [(90, 60), (60, 90), (400, 50), (40, 600), (7, 5), (48, 48)]
TURNED = 6  # an orientation of EXIF


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ordinary, wide, tall and tiny photos, one of them on its side."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("ant", "bee"):
            (root / split / label).mkdir(parents=True)
            for number, size in enumerate(SIZES):
                coarse = Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8))
                exif = Image.Exif()
                exif[0x0112] = TURNED if number == 0 else 1
                photo = coarse.resize(size, Image.Resampling.BICUBIC)
                photo.save(root / split / label / f"{number}.jpg", quality=95, exif=exif)
    return root


def make_data(photos: Path, **options: Any) -> ImageFolder:
    given = {"image_size": 28, "stored_size": 64, "batch_size": 4, "seed": 0, "val_split": 4}
    return ImageFolder(str(photos), **given | options)


def by_hand(path: Path) -> torch.Tensor:
    """Resize the short side to 32, and crop 28 at the centre, by Pillow."""
    photo = ImageOps.exif_transpose(Image.open(path))
    assert photo is not None
    scale = 32 / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)
    left, top = (photo.width - 28) / 2, (photo.height - 28) / 2
    photo = photo.transform((28, 28), Image.Transform.EXTENT, (left, top, left + 28, top + 28), 2)
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1)


@pytest.mark.parametrize("number", range(len(SIZES)))
def test_validation_sees_what_resize_and_crop_make_of_the_file(photos: Path, number: int) -> None:
    data = make_data(photos)
    seen = data.on_after_batch_transfer(data.sets_of("test")["test"][[number]], 0)
    expected = by_hand(photos / "test" / "ant" / f"{number}.jpg")

    difference = (seen.image[0].float() - expected.float()).abs()
    assert seen.image.shape == (1, 3, 28, 28)
    assert difference.mean() < 4, "squares keep less of the longer side, and no more is lost"


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_predict_sees_what_validation_sees(photos: Path, fit: Any, tmp_path: Path) -> None:
    data = make_data(photos, fit=fit)
    whole = data.sets_of("test")["test"]
    seen = data.on_after_batch_transfer(whole[range(len(whole))], 0).image

    options: dict[str, Any] = {"batch_size": 5, "on_error": "raise", "skipped": tmp_path / "skipped.txt"}
    batches = list(ImageFolder.read(photos / "test", data.describe(), **options))
    torch.testing.assert_close(torch.cat([example.image for _, example in batches]), seen)
    assert data.describe().shapes == {"image": (3, 28, 28)}


def test_what_is_predicted_through_a_view_stays_as_it_is(photos: Path) -> None:
    description = make_data(photos).describe()

    image = Image.new("L", (28, 28))
    assert ImageFolder.restore(image, str(photos / "test/ant/0.jpg"), description) is image


def test_the_cache_gives_again_what_was_decoded_and_both_ways_of_storing_have_one(photos: Path) -> None:
    first = make_data(photos).sets_of("train")["train"].examples
    make_data(photos, stored_size=None, image_size=64).prepare_data()
    again = make_data(photos).sets_of("train")["train"].examples

    torch.testing.assert_close(again.image, first.image)
    torch.testing.assert_close(again.aspect, first.aspect)
    ratios = [width / height for width, height in [(60, 90), *SIZES[1:]]] * 2
    torch.testing.assert_close(first.aspect, torch.tensor(ratios))
    names = {path.name.rpartition("-")[0] for path in (photos / ".cache").glob("train*.bin")}
    assert names == {"train-64x64", "train-squeezed-64x64"}


def test_training_images_have_the_size_of_all_others_with_and_without_augmentation(photos: Path) -> None:
    for augment in (None, PhotoAugment(rotation=10)):
        data = make_data(photos, augment=augment)
        data.setup("fit")
        columns = see(data)
        plain, first, second = (columns[name] for name in ("as it is", "epoch 1", "epoch 2"))

        assert plain.shape == first.shape == (8, 3, 28, 28)
        assert torch.equal(plain, first) == (augment is None)
        assert torch.equal(first, second) == (augment is None)
        assert sheet(columns).size == (5 * (112 + 4), 14 + 8 * (112 + 4))


def test_another_augmentation_changes_what_validation_sees(photos: Path) -> None:
    data = make_data(photos, augment=Augment(flip=True))
    data.setup("fit")
    batch = data.train_set[range(8)]
    seen, changed = data.on_after_batch_transfer(batch, 0).image, data.change(batch, epoch=0).image

    is_plain, is_mirrored = (
        ((changed.int() - each.int()).abs() <= 1).flatten(1).all(dim=1) for each in (seen, seen.flip(-1))
    )
    assert (is_plain | is_mirrored).all()
    assert is_plain.any()
    assert is_mirrored.any()


def test_a_size_that_is_none_is_refused(photos: Path) -> None:
    with pytest.raises(InputError, match="expected sizes of at least 1 and a share in"):
        make_data(photos, crop_share=1.5)


def test_a_batch_is_shown_as_a_config_says(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {
        "class_path": "PhotoAugment",
        "init_args": {"scale": [0.5, 1], "hue": 0.1},
    }
    arguments = ["--model=ResNet", "--data=ImageFolder", f"--data.data_dir={photos}", "--data.image_size=28"]
    arguments += ["--data.stored_size=64", f"--data.augment={data}"]

    assert main(["show_batch", *arguments]) == 0
    (picture,) = tmp_path.glob("runs/*-show_batch/show_batch.png")
    with Image.open(picture) as shown:
        assert shown.width == 5 * (112 + 4)


def test_a_few_photos_are_learnt_by_the_config_and_its_validation_loss_does_not_explode(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At ten times the rate it reaches hundreds: the averages of BatchNorm trail weights that change fast."""
    monkeypatch.chdir(tmp_path)
    data = {"data_dir": photos, "image_size": 64, "stored_size": 72, "val_split": 4}
    arguments = [f"--data.init_args.{name}={value}" for name, value in data.items()]
    arguments += ["--trainer.max_epochs=12", "--trainer.callbacks=[]", "--test_after_fit=false"]

    assert main(["fit", f"--config={PROJECT}/configs/photos.yaml", *arguments]) == 0
    with next(tmp_path.glob("runs/*/metrics.csv")).open() as file:
        losses = [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]
    assert len(losses) == 12
    assert max(losses) < 10 * math.log(2)  # of chance
