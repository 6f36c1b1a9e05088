"""The datamodules of the user's rooms, against the files that they read."""

import os
from pathlib import Path

import pytest
from my_project.data.image_folder import ImageFolder
from PIL import Image


@pytest.mark.parametrize("what", ["size", "time"])
def test_a_photo_that_was_replaced_is_read_anew(tmp_path: Path, what: str) -> None:
    """Whether only its size is another, or only the time of its change."""
    photo = tmp_path / "train" / "ant" / "1.bmp"
    for path in (photo, tmp_path / "train" / "bee" / "1.bmp"):
        path.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), "blue").save(path)
    ImageFolder(str(tmp_path), image_size=8).prepare_data()
    before = photo.stat()

    Image.new("RGB", (8, 8) if what == "time" else (16, 16), "red").save(photo)
    later = before.st_mtime_ns + (10**9 if what == "time" else 0)
    os.utime(photo, ns=(later, later))

    assert (photo.stat().st_size == before.st_size) == (what == "time")
    images = ImageFolder(str(tmp_path), image_size=8).load("train")["train"]
    assert images[[0]].image[0, :, 0, 0].tolist() == [255, 0, 0]
