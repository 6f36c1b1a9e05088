"""Colours of more than 8 bits, in files written byte by byte: Pillow writes none."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from my_project.engine.images.image_files import read_image

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
OPAQUE = RANDOM.integers(0, 65536, (5, 7, 1), dtype=np.uint16)
SHAPE = (3, 5, 7)


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """16 bits for each channel of ``(H, W, C)``."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = {b"IHDR": head, b"IDAT": zlib.compress(rows), b"IEND": b""}
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def write_tiff(path: Path, pixels: np.ndarray, *, planes: bool = False) -> Path:
    """The levels of ``(H, W, 3)`` as they are, without compression."""
    height, width, _ = pixels.shape
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    strips = [plane.tobytes() for plane in (pixels.transpose(2, 0, 1) if planes else [pixels])]
    starts = [512 + sum(map(len, strips[:number])) for number in range(len(strips))]
    longs = {256: [width], 257: [height], 273: starts, 278: [height], 279: list(map(len, strips))}
    bits = [pixels.dtype.itemsize * 8] * 3
    shorts = {258: bits, 259: [1], 262: [2], 277: [3], 284: [2 if planes else 1], 339: [kind] * 3}
    values, entries = b"", b""
    for tag, numbers in sorted({**longs, **shorts}.items()):
        data = struct.pack(f"<{len(numbers)}{'I' if tag in longs else 'H'}", *numbers)
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", 256 + len(values))
        values += data if len(data) > 4 else b""
        entries += struct.pack("<HHI", tag, 4 if tag in longs else 3, len(numbers)) + place
    head = b"II*\0" + struct.pack("<IH", 8, len(longs) + len(shorts)) + entries + bytes(4)
    path.write_bytes((head.ljust(256, b"\0") + values).ljust(512, b"\0") + b"".join(strips))
    return path


def higher_byte(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((pixels >> 8).astype(np.uint8)).permute(2, 0, 1)


def test_the_higher_byte_of_colours_counts(tmp_path: Path) -> None:
    for path in (write_png(tmp_path / "a.png", COLOURS), write_tiff(tmp_path / "a.tif", COLOURS)):
        assert torch.equal(read_image(path, SHAPE), higher_byte(COLOURS))


@pytest.mark.parametrize("num_colours", [1, 3])
def test_what_is_transparent_becomes_white(tmp_path: Path, num_colours: int) -> None:
    colours = COLOURS[..., :num_colours]
    path = write_png(tmp_path / "a.png", np.concatenate([colours, OPAQUE], axis=2))

    image = read_image(path, SHAPE)

    share = OPAQUE / 65535
    expected = (colours / 65535 * share + 1 - share) * 255
    away = np.abs(image.permute(1, 2, 0).numpy() - expected).max()
    assert away < 2, "two values of 8 bits are multiplied"


def test_levels_are_of_grey_alone(tmp_path: Path) -> None:
    images = [write_png(tmp_path / "a.png", COLOURS), write_tiff(tmp_path / "a.tif", COLOURS)]
    images.append(write_png(tmp_path / "b.png", np.concatenate([COLOURS, OPAQUE], axis=2)))
    for path in images:
        with pytest.raises(InputError, match=rf"{path}: levels are for grey images, and this one has 16"):
            read_image(path, SHAPE, (0, 4095))
    small = write_tiff(tmp_path / "small.tif", (COLOURS >> 8).astype(np.uint8), planes=True)
    assert torch.equal(read_image(small, SHAPE, (0, 4095)), higher_byte(COLOURS)), "it is not deep"


@pytest.mark.parametrize(
    ("kind", "planes", "said"),
    [
        (np.uint16, True, "its colours have more than 8 bits and are stored in planes: save it as PNG"),
        (np.float32, False, "Pillow cannot read this kind of TIFF, such as 32-bit colours: save it as PNG"),
        (np.int16, False, "Pillow cannot read this kind of TIFF"),
    ],
)
def test_a_tiff_that_cannot_be_read_names_the_remedy(
    tmp_path: Path, kind: Any, planes: bool, said: str
) -> None:
    for label in ("ant", "bee"):
        (tmp_path / label).mkdir()
        path = write_tiff(tmp_path / label / "a.tif", (COLOURS // 2).astype(kind), planes=planes)

    with pytest.raises(InputError, match=rf"{path}: {said}.*; repair or remove the file") as error:
        read_image(path, SHAPE)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=rf"expected 2 images, got 2 that cannot be read: .*{said}"):
        ImageFolder(str(tmp_path), image_size=4, test_split=0).prepare_data()
