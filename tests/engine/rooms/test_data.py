"""The datamodules of the user's rooms, against the files that they read."""

import os
from pathlib import Path

import pytest
from my_project.data.image_folder import ImageFolder
from PIL import Image


@pytest.mark.parametrize("what", ["size", "time", "neither"])
def test_a_photo_that_was_replaced_is_read_anew(tmp_path: Path, what: str) -> None:
    """Whether only its size is another, or only the time of its change, or both are set back."""
    photo = tmp_path / "train" / "ant" / "1.bmp"
    for path in (photo, tmp_path / "train" / "bee" / "1.bmp"):
        path.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), "blue").save(path)
    ImageFolder(str(tmp_path), image_size=8).prepare_data()
    before = photo.stat()

    Image.new("RGB", (16, 16) if what == "size" else (8, 8), "red").save(photo)
    later = before.st_mtime_ns + (10**9 if what == "time" else 0)
    os.utime(photo, ns=(later, later))

    assert (photo.stat().st_size == before.st_size) == (what != "size")
    images = ImageFolder(str(tmp_path), image_size=8).load("train")["train"]
    assert images[[0]].image[0, :, 0, 0].tolist() == [255, 0, 0]


def test_a_sweep_over_sizes_decodes_each_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for label in ("ant", "bee"):
        (tmp_path / "train" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "train" / label / "1.png")
    caplog.set_level("INFO")

    for size in (8, 4, 8, 4):
        images = ImageFolder(str(tmp_path), image_size=size).load("train")["train"]
        assert images[[0]].image.shape == (1, 3, size, size)

    assert caplog.text.count("decoding 2 images") == 2
