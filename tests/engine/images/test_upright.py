from pathlib import Path

import torch
from my_project.engine.images.image_files import read_image
from PIL import Image

ORIENTATION = 0x0112  # of EXIF; 6 is a photo that must be turned by 90 degrees clockwise


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4))
    image.paste((255, 0, 0), (0, 0, 4, 2))  # the upper half is red: upright, the right one
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image.save(tmp_path / "photo.png", exif=exif)

    red = read_image(tmp_path / "photo.png", (3, 4, 4))[0]
    torch.testing.assert_close(red, torch.tensor([[0, 0, 255, 255]], dtype=torch.uint8).expand(4, 4))
