import shutil
from pathlib import Path

import numpy as np
from my_project.data.image_folder import ImageFolder
from PIL import Image


def test_images_that_vanish_during_training_are_not_missed(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "photos/train" / label).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8, 8, 3), 20 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos/train" / label / f"{number}.png")
    data = ImageFolder(str(tmp_path / "photos"), image_size=8, batch_size=4, val_split=4)
    data.setup("fit")
    shutil.rmtree(tmp_path / "photos")

    assert sum(len(batch) for batch in data.train_dataloader()) == 16
