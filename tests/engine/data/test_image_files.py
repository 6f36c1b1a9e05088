import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from my_project.engine.data.image_files import find_images, read_image, read_images
from my_project.engine.errors import InputError
from PIL import Image


def test_finds_images_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "deep.png").mkdir()
    (tmp_path / "deep.png" / "c.webp").touch()

    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]

    assert found == ["a.png", "b.JPG", "deep.png/c.webp"]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_the_wanted_shape(tmp_path: Path, mode: str, channels: int) -> None:
    path = tmp_path / "image.tiff"
    Image.new(mode, (9, 5)).save(path)

    assert read_image(path, (channels, 4, 6)).shape == (channels, 4, 6)


def test_is_turned_upright_scaled_and_cropped_at_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((4, 12, 3), dtype=np.uint8)
    pixels[:, 4:8] = 255  # the middle third is white
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # stored on its side
    image.save(tmp_path / "image.png", exif=exif)

    assert read_image(tmp_path / "image.png", (3, 4, 4)).float().mean() == 255


def test_names_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no pixels")

    with pytest.raises(InputError, match=r"expected an image, got .*text.png: .*; repair or remove"):
        read_image(tmp_path / "text.png", (3, 4, 4))


def test_rows_of_unreadable_files_are_empty_and_said(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        Image.new("L", (4, 4), 50 * number + 10).save(path)
    paths[1].write_bytes(paths[1].read_bytes()[:-30])
    paths[3].unlink()
    into = torch.full((5, 1, 4, 4), 7, dtype=torch.uint8)

    unreadable = read_images(paths, into)

    assert list(unreadable) == [paths[1], paths[3]]
    assert "No such file" in str(unreadable[paths[3]])
    assert into[:, 0, 0, 0].tolist() == [10, 0, 110, 0, 210]


def test_an_image_is_not_blamed_where_no_file_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "good.png"
    Image.new("L", (4, 4)).save(path)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            read_image(path, (3, 4, 4))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
