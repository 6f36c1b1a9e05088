import os
import re
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from my_project.engine.images import image_files
from my_project.engine.images.image_files import (
    ORIENTATION,
    read_image,
    read_images,
    uncrop,
    upright_size,
)
from PIL import Image, ImageFile, ImageOps


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


def test_odd_exif_does_not_spoil_a_sound_photo(tmp_path: Path) -> None:
    """XResolution as text, as some programs write it; the orientation is read all the same."""
    image = Image.new("RGB", (8, 4))
    image.paste((255, 0, 0), (0, 0, 8, 2))  # the upper half is red: upright, the right one
    image.save(tmp_path / "plain.jpg", quality=100, subsampling=0)
    plain = (tmp_path / "plain.jpg").read_bytes()
    entries = struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x11A, 2, 3, b"72\0\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)
    photo = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    (tmp_path / "photo.jpg").write_bytes(photo)

    red = read_image(tmp_path / "photo.jpg", (3, 8, 4))[0]

    assert red[:, :2].max() < 20
    assert red[:, 2:].min() > 235


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("bad", [b"II*\0\xff\xff\xff\x7f", b"", b"XX"])
def test_exif_that_cannot_be_read_leaves_the_image_as_it_is_stored(tmp_path: Path, bad: bytes) -> None:
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "photo.jpg", exif=b"Exif\0\0" + bad)

    assert read_image(tmp_path / "photo.jpg", (3, 4, 4))[0].min() > 235


@pytest.mark.parametrize(
    "error", [MemoryError(), TypeError("odd"), IndexError("odd"), ZeroDivisionError("odd")]
)
def test_whatever_a_damaged_file_makes_pillow_raise_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def load(*args: object) -> None:
        raise error

    Image.new("L", (4, 4)).save(tmp_path / "image.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)

    with pytest.raises(InputError, match=r"expected an image, got .*image.png: (odd|MemoryError); repair"):
        read_image(tmp_path / "image.png", (3, 4, 4))


RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("ramp.png", RAMP.astype(np.uint16) * 257),
        ("ramp.tif", RAMP.astype(np.uint16) * 257),
        ("ramp.tif", RAMP.astype(np.int32) * 257),
        ("ramp.tif", RAMP.astype(np.float32) / 255),
    ],
    ids=["16 bits", "16 bits as TIFF", "32 bits", "floats"],
)
def test_deep_grey_levels_are_scaled_to_bytes(tmp_path: Path, name: str, levels: np.ndarray) -> None:
    Image.fromarray(levels).save(tmp_path / name)

    for channels in (1, 3):
        image = read_image(tmp_path / name, (channels, 4, 256))
        assert torch.equal(image, torch.from_numpy(RAMP).expand(channels, 4, 256))


@pytest.mark.parametrize("levels", [RAMP.astype(np.float32) * 3 - 7, RAMP.astype(np.int32) * 1000])
def test_levels_outside_of_their_range_are_scaled_by_their_own_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, levels: np.ndarray
) -> None:
    for number, label in enumerate(("ant", "ant", "bee", "bee")):
        path = tmp_path / "train" / label / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels if number == 2 else RAMP).save(path)

    for _ in range(2):  # also where the cache has them
        caplog.clear()
        images = ImageFolder(str(tmp_path), image_size=4).load("train")["train"][range(4)].image

        assert torch.equal(images[2], images[1])
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert line.startswith("1 of 4 images have levels outside of [0, 65535] (floats: [0, 1]), and are")
        assert "bee/2.tif; give --data.init_args.levels=" in line


def test_levels_can_be_given_and_predict_takes_the_same(tmp_path: Path) -> None:
    """12 bits in a file of 16, say."""
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        Image.fromarray((RAMP[:, ::-1] * 16).astype(np.uint16)[:, :4]).save(tmp_path / label / "1.png")
    Image.fromarray((RAMP.astype(np.uint16) * 16)[:, -4:]).save(tmp_path / "ant/1.png")
    data = ImageFolder(str(tmp_path), image_size=4, levels=(0, 4095), test_split=0)

    image = data.load("train")["train"][[0]].image
    options: Any = {"batch_size": 2, "on_error": "raise", "skipped": tmp_path / "skipped.txt"}
    ((_, batch),) = ImageFolder.read(tmp_path / "ant", data.describe(), **options)

    expected = torch.from_numpy(np.round(np.arange(252, 256) * 16 / 4095 * 255)).byte().expand(3, 4, 4)
    assert torch.equal(image[0], expected)
    assert torch.equal(batch.image[0], expected)


@pytest.mark.parametrize("level", [np.nan, np.inf])
def test_levels_that_are_not_finite_are_refused(tmp_path: Path, level: float) -> None:
    Image.fromarray(np.full((4, 4), level, dtype=np.float32)).save(tmp_path / "levels.tif")

    with pytest.raises(InputError, match="levels are not finite"):
        read_image(tmp_path / "levels.tif", (1, 4, 4))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("under", [0, 255])
def test_what_is_transparent_becomes_white_whatever_lies_under_it(
    tmp_path: Path, mode: str, under: int
) -> None:
    alpha = Image.new("L", (4, 4), 0)
    alpha.paste(255, (0, 0, 2, 4))  # the left half is seen, and black
    image = Image.new("RGB", (4, 4), (under, under, under))
    image.paste((0, 0, 0), (0, 0, 2, 4))
    image.putalpha(alpha)
    options = {}
    if mode == "P":
        image, options = alpha.point(lambda level: level // 255).convert("P"), {"transparency": 0}
        image.putpalette([under] * 3 + [0, 0, 0])
    image.convert(mode).save(tmp_path / "image.png", **options)

    grey = read_image(tmp_path / "image.png", (1, 4, 4))[0]
    assert grey.tolist() == [[0, 0, 255, 255]] * 4


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    """Of an old archive, say: Latin-1 on a disk of UTF-8."""
    folder = tmp_path / "train"
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (4, 4)).save(folder / label / f"{number}.png")
    name = os.fsdecode(b"caf\xe9.png")
    (folder / "cat/0.png").rename(folder / "cat" / name)
    (folder / "dog" / name).write_bytes(b"no image")

    data = ImageFolder(str(tmp_path), image_size=4, on_error="skip")
    data.prepare_data()

    assert len(data.sets_of("train")["train"]) == 8
    assert (tmp_path / ".cache/train-skipped.txt").read_bytes().endswith(b"/dog/caf\xe9.png\n")


def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    for label in (b"c\xe9t", b"dog"):
        (tmp_path / "train" / os.fsdecode(label)).mkdir(parents=True)

    with pytest.raises(InputError, match=r"expected names in UTF-8, got 'c.udce9t'; rename it"):
        ImageFolder(str(tmp_path)).describe()


def test_of_several_pages_the_first_is_read(tmp_path: Path) -> None:
    pages = [Image.new("L", (4, 4), level) for level in (50, 100, 150)]
    for name in ("pages.tif", "frames.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])

        assert read_image(tmp_path / name, (1, 4, 4)).unique().tolist() == [50]


@pytest.mark.parametrize("turn", [1, 6])
def test_a_large_photo_is_decoded_at_a_reduced_scale_and_looks_the_same(tmp_path: Path, turn: int) -> None:
    x, y = np.meshgrid(np.linspace(0, 1, 1200), np.linspace(0, 1, 800))
    pixels = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(20 * x + 10 * y)], axis=-1).astype(np.uint8)
    photo, exif = Image.fromarray(pixels), Image.Exif()
    exif[ORIENTATION] = turn
    photo.save(tmp_path / "photo.jpg", quality=95, exif=exif)
    image = read_image(tmp_path / "photo.jpg", (3, 90, 60))

    stored = Image.open(tmp_path / "photo.jpg")
    upright = stored if turn == 1 else stored.transpose(Image.Transpose.ROTATE_270)
    expected = ImageOps.fit(upright, (60, 90), Image.Resampling.BILINEAR)
    difference = image.float() - torch.from_numpy(np.array(expected)).permute(2, 0, 1).float()
    assert 0 < difference.abs().mean() < 0.5, "0: it was decoded whole"


def test_long_decoding_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "image.png")
    monkeypatch.setattr(image_files, "PROGRESS_S", 0.0)
    caplog.set_level("INFO")

    read_images([tmp_path / "image.png"] * 3, torch.zeros(3, 1, 4, 4, dtype=torch.uint8))

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"decoded {number} of 3 images, [\d,]+ images/s, \d+ s left", line)


@pytest.mark.parametrize("size", [(99, 40), (40, 98), (64, 48), (5, 7)])
@pytest.mark.parametrize("axis", [0, 1])
def test_what_was_cropped_and_scaled_is_put_back_in_its_place(
    tmp_path: Path, size: tuple[int, int], axis: int
) -> None:
    places = np.indices(size[::-1])[axis].astype(np.uint8)
    Image.fromarray(places).save(tmp_path / "a.png")
    read = Image.fromarray(read_image(tmp_path / "a.png", (1, 24, 32))[0].numpy())

    whole = uncrop(read, upright_size(tmp_path / "a.png"), fill=255)

    assert whole.size == size
    is_seen = np.array(whole) != 255
    scale = min(size[0] / 32, size[1] / 24)
    rows, columns = (
        np.abs(np.arange(side) + 0.5 - side / 2) < kept * scale / 2
        for side, kept in zip(size[::-1], (24, 32), strict=True)
    )
    assert (is_seen == rows[:, None] & columns).all()
    away = np.abs(np.array(whole).astype(float) - places)[is_seen]
    assert away.max() <= scale / 2 + 1
