import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from my_project.engine.images import decoding
from PIL import Image


def write_photos(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(folder / label / f"{number}.png")


def test_images_that_vanish_during_training_are_not_missed(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos/train")
    data = ImageFolder(str(tmp_path / "photos"), image_size=8, batch_size=4, val_split=4)
    data.setup("fit")
    shutil.rmtree(tmp_path / "photos")

    assert sum(len(batch) for batch in data.train_dataloader()) == 16


@pytest.mark.parametrize("name", ["state_of", "read_images"])
def test_an_image_that_vanishes_after_it_was_found_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_photos(tmp_path / "train")
    lost, before = tmp_path / "train/cat/2.png", getattr(decoding, name)

    def remove_first(*args: Any) -> Any:
        lost.unlink(missing_ok=True)
        return before(*args)

    monkeypatch.setattr(decoding, name, remove_first)

    with pytest.raises(InputError, match=r"got 1 that cannot be read: .*cat/2.png: No such file"):
        ImageFolder(str(tmp_path), image_size=8).load("train")
