import os
import resource
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from my_project.engine.images.image_files import (
    ORIENTATION,
    find_by_class,
    find_images,
    read_image,
    read_images,
)
from PIL import Image, ImageFile


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


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (RAMP.astype(np.float32), r"levels lie in \[0, 255\], not in \[0, 1\]; save 8 bits"),
        (RAMP.astype(np.int32) * 1000, r"levels lie in \[0, 255000\], not in \[0, 65535\]"),
        (np.full((4, 4), np.nan, dtype=np.float32), r"levels lie in \[nan, nan\]"),
    ],
)
def test_levels_of_an_unknown_range_are_refused(tmp_path: Path, levels: np.ndarray, said: str) -> None:
    Image.fromarray(levels).save(tmp_path / "levels.tif")

    with pytest.raises(InputError, match=said):
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


def test_hidden_folders_are_left_out_and_other_suffixes_are_read_or_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (
        "cat/a.jpg",
        "cat/.ipynb_checkpoints/a-checkpoint.jpg",
        "cat/b.jfif",
        "dog/c.pgm",
        "dog/c.raw",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    cat, dog = find_by_class(tmp_path, ["cat", "dog"])

    assert [path.name for path in (*cat, *dog)] == ["a.jpg", "b.jfif", "c.pgm"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"left out 1 files in {tmp_path} of other suffixes, such as {tmp_path / 'dog/c.raw'}"


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
