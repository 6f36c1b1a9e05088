"""Identical files in training and validation."""

import os
from pathlib import Path

import numpy as np
import pytest
from my_project.data.image_folder import ImageFolder
from my_project.engine.images import copies
from my_project.engine.images.copies import find_copies
from PIL import Image


def write(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)  # some 24 kB, all of one size as BMP
    return path


def test_finds_files_of_one_content_and_opens_only_those_of_one_size(tmp_path: Path) -> None:
    contents = [b"aa", b"bb", b"aa", b"c", b"aa", b"bb", b"dd"]
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    os.utime(paths[3], ns=(1, 1))
    read_at = paths[3].stat().st_atime_ns

    assert find_copies([*paths, tmp_path / "gone"]) == [[0, 2, 4], [1, 5]]
    assert paths[3].stat().st_atime_ns == read_at


def test_files_that_differ_only_at_their_end_are_no_copies(tmp_path: Path) -> None:
    head = bytes(copies.HEAD)
    for name, end in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(head + end)

    assert find_copies([tmp_path / name for name in "abc"]) == [[0, 2]]


def test_files_of_validation_that_are_also_trained_on_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(8):
        write(tmp_path / "train" / "ab"[number % 2] / f"{number}.bmp", number)
        write(tmp_path / "val" / "ab"[number % 2] / f"{number}.bmp", 100 + number)
    write(tmp_path / "val/a/copy.bmp", 3)
    write(tmp_path / "train/a/twice.bmp", 2)

    for _ in range(2):  # also when the cache knows it
        caplog.clear()
        ImageFolder(str(tmp_path), image_size=4).setup("fit")
        assert caplog.messages == [
            "1 of 9 files in val are also in train, so its numbers are too good: "
            f"{tmp_path}/val/a/copy.bmp = {tmp_path}/train/b/3.bmp; remove one of each"
        ]
    assert len(list((tmp_path / ".cache").glob("copies-*.json"))) == 1


def test_copies_that_a_split_parts_are_named_and_others_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        write(tmp_path / "ab"[number % 2] / f"{number}.bmp", number // 4)
    data = ImageFolder(str(tmp_path), image_size=4, val_split=6, test_split=4, seed=0)
    data.setup("fit")

    seeds = {
        name: [data._listings["all"].paths[row].stem for row in data._sets[name].rows]
        for name in ("train", "val/val")
    }
    trained = {int(stem) // 4 for stem in seeds["train"]}
    count = sum(int(stem) // 4 in trained for stem in seeds["val/val"])
    assert count > 0
    assert caplog.messages[0].startswith(f"{count} of 6 files in val are also in train")
