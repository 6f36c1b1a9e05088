"""Masks as people have them: their values, their pairs, their geometry."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.masks import Coding, find_coding, find_pairs, read_pairs
from PIL import Image

CLASSES = np.array([[0, 1, 2, 1], [2, 2, 0, 0], [1, 0, 0, 255]])
COLOURS = {0: (10, 20, 30), 1: (200, 0, 0), 2: (0, 0, 142), 255: (255, 255, 255)}


def coloured(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.array([[COLOURS[c] for c in row] for row in CLASSES], dtype=np.uint8)).convert(
        mode
    )


def palette() -> Image.Image:
    image = Image.fromarray(CLASSES.astype(np.uint8))
    image.putpalette([value for c in range(256) for value in COLOURS.get(c, (0, 0, 0))])
    return image


def levels(dtype: Any, *, by: int = 1) -> Image.Image:
    return Image.fromarray((CLASSES * by).astype(dtype))


def save(folder: Path, mask: Image.Image, name: str = "a.png") -> tuple[Path, Path]:
    """A mask, and an image whose grey is 10 times its class."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    image, path = folder / "images" / "a.png", folder / "masks" / name
    Image.fromarray((CLASSES % 255 * 10).astype(np.uint8)).save(image)
    mask.save(path)
    return image, path


def decode(pairs: list[tuple[Path, Path]], coding: Coding, size: tuple[int, int] = CLASSES.shape) -> Any:
    images = torch.empty(len(pairs), 1, *size, dtype=torch.uint8)
    masks = torch.empty(len(pairs), *size, dtype=torch.uint8)
    return images, masks, read_pairs(pairs, coding, images, masks)


@pytest.mark.parametrize(
    ("values", "ignored", "in_colour", "unseen"),
    [
        ((0, 1), (255,), False, 255),
        ((0, 1), (7,), False, 7),
        ((0, 255), (), False, 254),
        ((0, 1), (), False, 255),
        ((0, 300), (1,), False, 255),  # written as 0 and 1
        ((0, 0xFF0000), (0xFFFFFF, 9), True, 255),
        (tuple(range(2, 256)), (), False, 1),
    ],
)
def test_what_a_model_has_not_seen_is_ignored_or_of_no_class(
    values: tuple[int, ...], ignored: tuple[int, ...], in_colour: bool, unseen: int
) -> None:
    names = tuple(map(str, values))

    assert Coding(names=names, values=values, ignored=ignored, in_colour=in_colour).unseen == unseen


@pytest.mark.parametrize(
    ("mask", "name", "ignored", "names"),
    [
        (levels(np.uint8), "a.png", 255, ("0", "1", "2")),
        (levels(np.uint16, by=257), "a.png", 65535, ("0", "257", "514")),
        (levels(np.int32, by=257), "a.tif", 65535, ("0", "257", "514")),
        (levels(np.uint8).convert("LA"), "a.png", 255, ("0", "1", "2")),
        (palette(), "a.png", 255, ("0", "1", "2")),
        (coloured(), "a.png", "#ffffff", ("#00008e", "#0a141e", "#c80000")),
        (coloured("RGBA"), "a.tif", [255, 255, 255], ("#00008e", "#0a141e", "#c80000")),
        (coloured(), "a.bmp", "ffffff", ("#00008e", "#0a141e", "#c80000")),
        (palette(), "a.png", "#ffffff", ("#00008e", "#0a141e", "#c80000")),
    ],
)
def test_classes_are_found_in_masks_of_all_kinds(
    tmp_path: Path, mask: Image.Image, name: str, ignored: Any, names: tuple[str, ...]
) -> None:
    pair = save(tmp_path, mask, name)

    coding = find_coding([pair[1]], None, [ignored], tmp_path / "cache")
    _, masks, unreadable = decode([pair], coding)

    assert not unreadable
    assert coding.names == names
    order = {0: 1, 1: 2, 2: 0, 255: 255} if coding.in_colour else {0: 0, 1: 1, 2: 2, 255: 255}
    np.testing.assert_array_equal(masks[0], np.vectorize(order.get)(CLASSES))


@pytest.mark.parametrize(
    ("mask", "classes", "ignored"),
    [
        (levels(np.uint8), {"one": 1, "two": 2, "none": 0}, 255),
        (palette(), {"one": 1, "two": 2, "none": 0}, 255),
        (levels(np.uint8).convert("RGB"), {"one": 1, "two": 2, "none": 0}, 255),
        (coloured(), {"one": [200, 0, 0], "two": "#00008e", "none": "0a141e"}, "#ffffff"),
        (palette(), {"one": [200, 0, 0], "two": "#00008e", "none": "0a141e"}, "#ffffff"),
    ],
)
def test_classes_are_those_that_are_named(
    tmp_path: Path, mask: Image.Image, classes: dict[str, Any], ignored: Any
) -> None:
    pair = save(tmp_path, mask)

    coding = find_coding([pair[1]], classes, [ignored], tmp_path)

    assert coding.names == ("one", "two", "none")
    np.testing.assert_array_equal(
        decode([pair], coding)[1][0], np.vectorize({1: 0, 2: 1, 0: 2, 255: 255}.get)(CLASSES)
    )


def test_colours_are_those_of_the_masks(tmp_path: Path) -> None:
    expected = [list(COLOURS[c]) for c in (1, 0)]
    by_value = find_coding([save(tmp_path, palette())[1]], {"b": 1, "a": 0}, [], tmp_path)
    by_colour = find_coding([], {"b": "#c80000", "a": "#0a141e"}, [], tmp_path)
    grey = find_coding([save(tmp_path, levels(np.uint8))[1]], {"b": 1, "a": 0}, [], tmp_path)

    assert (by_value.colours, by_value.written) == (expected, [1, 0])
    assert (by_colour.colours, by_colour.written) == (expected, [0, 1])
    blues = find_coding([], {"b": "#000000", "a": "#0000ff"}, [], tmp_path)

    assert (grey.colours, grey.written) == (None, [1, 0])
    assert (blues.colours, blues.written) == ([[0, 0, 0], [0, 0, 255]], [0, 1])


@pytest.mark.parametrize("block", [1, 8])
def test_masks_are_resampled_by_their_nearest_pixels_on_the_crop_of_the_image(
    tmp_path: Path, block: int
) -> None:
    """Scaled four times and cropped at the centre; the image is 60 times its mask."""
    generator = np.random.default_rng(0)
    blocks = generator.choice([0, 3], (96 // block, 160 // block))
    large = np.kron(blocks, np.ones((block, block), dtype=int)).astype(np.uint8)
    pair = save(tmp_path, Image.fromarray(large))
    Image.fromarray(large * 60).save(pair[0])
    coding = Coding(names=("0", "3"), values=(0, 3))

    images, masks, _ = decode([pair], coding, (24, 24))

    np.testing.assert_array_equal(masks[0] * 3, large[2::4, 34 : 34 + 96 : 4])  # from column 32 of 160
    assert len(images.unique()) > 4  # smooth between them
    if block == 8:
        far_off = (images[0, 0].int() - 180 * masks[0].int()).abs() > 90
        assert not far_off.any()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_mask_lies_on_its_image_turned_upright(tmp_path: Path, orientation: int) -> None:
    pair = save(tmp_path, levels(np.uint8))
    stored = Image.fromarray((CLASSES % 255 * 10).astype(np.uint8))
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = stored.transpose(turn[orientation]) if orientation > 1 else stored
    image.save(pair[0], exif=exif)

    images, masks, unreadable = decode([pair], find_coding([pair[1]], None, [255], tmp_path))

    assert not unreadable
    known = masks != 255
    torch.testing.assert_close(images[:, 0][known], 10 * masks[known])


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    pair = save(tmp_path, levels(np.uint8).resize((8, 6)))

    with pytest.raises(InputError, match=r"masks/a.png in the size of its image, got 8 x 6, and 4 x 3 of "):
        decode([pair], find_coding([pair[1]], None, [], tmp_path))


@pytest.mark.parametrize(
    ("mask", "name", "classes", "ignored", "message"),
    [
        (
            levels(np.uint8),
            "a.jpg",
            None,
            [],
            "expected a mask that keeps its values, got .*a.jpg; save it as PNG",
        ),
        (
            Image.new("L", (4, 3)),
            "a.png",
            None,
            [],
            "expected from 2 to 254 classes of different values .*, got 1: 0",
        ),
        (levels(np.uint8), "a.png", {"a": 0, "b": 0}, [], "of different values"),
        (levels(np.uint8), "a.png", {"a": 0, "b": 1}, [1], "of different values"),
        (levels(np.uint8), "a.png", {"a": 0, "b": "#010101"}, [], "all as values or all as colours"),
        (
            levels(np.uint8),
            "a.png",
            {"a": "red", "b": "#010101"},
            [],
            "expected a colour such as .*, got 'red'",
        ),
        (
            levels(np.uint8),
            "a.png",
            {"a": [1, 2], "b": "#010101"},
            [],
            r"expected a colour such as .*, got \[1, 2\]",
        ),
        (coloured(), "a.png", {"a": 0, "b": 1}, [], "expected values in .*a.png, got colours"),
        (levels(np.uint8), "a.png", {"a": 0, "b": 1}, [255], "a, b in .*a.png, got the value 2; name it in"),
        (
            coloured(),
            "a.png",
            {"a": "#c80000", "b": "#0a141e"},
            [],
            "got the value #(00008e|ffffff); name it in",
        ),
        (
            Image.fromarray(np.arange(300, dtype=np.int32).reshape(15, 20)),
            "a.tif",
            None,
            [],
            "expected from 2 to 254 classes .*, got 300",
        ),
    ],
)
def test_refuses_in_one_line(
    tmp_path: Path, mask: Image.Image, name: str, classes: Any, ignored: list[Any], message: str
) -> None:
    pair = save(tmp_path, mask, name)

    with pytest.raises(InputError, match=message) as caught:
        decode([pair], find_coding([pair[1]], classes, ignored, tmp_path))
    assert "\n" not in str(caught.value)


def test_values_are_found_once_and_again_when_a_mask_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, path = save(tmp_path, levels(np.uint8))
    first = find_coding([path], None, [], tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(kept.read_text().replace("255", "77"))

    assert find_coding([path], None, [], tmp_path / "cache").names == ("0", "1", "2", "77")
    levels(np.uint8, by=3).save(path)
    assert find_coding([path], None, [], tmp_path / "cache").names == ("0", "3", "6", "253")
    assert first.names == ("0", "1", "2", "255")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_unreadable_masks_are_named_and_wholly_ignored(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "good", levels(np.uint8)), save(tmp_path / "bad", levels(np.uint8))
    bad[1].write_bytes(b"no image")

    coding = find_coding([bad[1], good[1]], None, [255], tmp_path)
    _, masks, unreadable = decode([bad, good], coding)

    assert list(unreadable) == [bad[0]]
    assert str(bad[1]) in str(unreadable[bad[0]])
    assert (masks[0] == 255).all()
    np.testing.assert_array_equal(masks[1], CLASSES)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_pairs_are_matched_in_subfolders_whatever_their_suffix(tmp_path: Path) -> None:
    root = tmp_path
    touch(root / "images/b.JPG", root / "images/x/a.tif", root / "masks/b.png", root / "masks/x/a.png")
    touch(root / "images/.hidden.png", root / "masks/notes.txt")

    found = find_pairs(root, "train", "images", "masks")

    assert found is not None
    assert [(one.name, other.name) for one, other in found[1]] == [("b.JPG", "b.png"), ("a.tif", "a.png")]
    assert find_pairs(root, "val", "images", "masks") is None


def test_folders_of_other_splits_are_no_training_part(tmp_path: Path) -> None:
    touch(tmp_path / "images/val/a.png", tmp_path / "masks/val/a.png")

    assert find_pairs(tmp_path, "train", "images", "masks") is None


@pytest.mark.parametrize("name", ["valid", "validation", "val"])
def test_val_has_several_names(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name / "images/a.png", tmp_path / name / "masks/a.png")

    found = find_pairs(tmp_path, "val", "images", "masks")

    assert found is not None
    assert found[0] == tmp_path / name / "images"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/a.png", "images/b.png", "masks/a.png"], "got 1 alone: the image .*b.png has no mask; give"),
        (["images/a.png", "masks/a.png", "masks/c.png"], "got 1 alone: the mask .*c.png has no image; give"),
        ([*(f"images/{n}.png" for n in range(9)), "masks/0.png"], "got 8 alone: .*2.*3.* and 5 more"),
        (
            ["images/a.png", "images/a.jpg", "masks/a.png"],
            "one file of each name, got .*a.* and .*a.*; rename",
        ),
        (["images/notes.txt", "masks/notes.txt"], "expected images in .*images, got none"),
    ],
)
def test_what_does_not_match_is_named(tmp_path: Path, files: list[str], message: str) -> None:
    touch(*(tmp_path / name for name in files))

    with pytest.raises(InputError, match=message):
        find_pairs(tmp_path, "train", "images", "masks")
