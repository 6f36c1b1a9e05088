import fcntl
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from my_project.engine.images import cache
from my_project.engine.images.cache import cached_images, stored

SHAPE = (3, 1, 2, 2)


def fill_with_zeros(images: torch.Tensor) -> None:
    images.zero_()


def test_is_filled_once_and_then_mapped(tmp_path: Path) -> None:
    calls = []

    def fill(images: torch.Tensor) -> None:
        calls.append(1)
        images.copy_(torch.arange(12).view(SHAPE))

    first, second = (cached_images(tmp_path / "c", "train-1", SHAPE, fill) for _ in range(2))

    torch.testing.assert_close(first, torch.arange(12, dtype=torch.uint8).view(SHAPE))
    torch.testing.assert_close(second, first)
    assert len(calls) == 1


def test_changes_do_not_reach_the_file(tmp_path: Path) -> None:
    cached_images(tmp_path, "train-1", SHAPE, fill_with_zeros).fill_(9)

    assert cached_images(tmp_path, "train-1", SHAPE, fill_with_zeros).sum() == 0


def test_another_fingerprint_replaces_the_file(tmp_path: Path) -> None:
    cached_images(tmp_path, "train-1", SHAPE, fill_with_zeros)
    cached_images(tmp_path, "val-1", SHAPE, fill_with_zeros)
    cached_images(tmp_path, "train-2", SHAPE, fill_with_zeros)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["train-2.bin", "val-1.bin"]


def fill_with_ones(images: torch.Tensor) -> None:
    images.fill_(1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: whole[:12],  # as an earlier version wrote it
        lambda whole: b"\0" * 12 + whole[12:],  # what a power cut may leave
        lambda whole: whole[:5] + b"\7" + whole[6:],
        lambda whole: whole[:12] + b"pixels-1" + whole[20:],
        lambda whole: whole + b"more",
        lambda whole: b"",
    ],
)
def test_a_damaged_file_is_named_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    cached_images(tmp_path, "train-1", SHAPE, fill_with_ones)
    path = tmp_path / "train-1.bin"
    path.write_bytes(damage(path.read_bytes()))

    images = cached_images(tmp_path, "train-1", SHAPE, fill_with_ones)

    assert images.sum() == 12
    assert f"{path} is damaged or of another version" in caplog.text
    caplog.clear()
    cached_images(tmp_path, "train-1", SHAPE, fill_with_zeros)
    assert not caplog.text, "it was whole again"


def test_a_large_file_is_checked_at_its_ends_and_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BLOCK", 2)
    monkeypatch.setattr(cache, "NUM_BLOCKS", 2)
    path = tmp_path / "train-1.bin"
    for position, is_seen in ((0, True), (2, False), (6, True)):
        cached_images(tmp_path, "train-1", SHAPE, fill_with_ones)
        whole = path.read_bytes()
        path.write_bytes(whole[:position] + b"\7" + whole[position + 1 :])
        assert (cached_images(tmp_path, "train-1", SHAPE, fill_with_ones).sum() == 12) == is_seen
        path.unlink()


def test_does_without_a_file_on_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        images = cached_images(tmp_path / "cache", "train-1", SHAPE, fill_with_ones)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert images.sum() == 12
    assert "decoded again at each start" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(images: torch.Tensor) -> None:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        cached_images(tmp_path / "new", "train-1", SHAPE, fail)

    assert not list(tmp_path.iterdir())


def test_does_without_a_folder_that_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    images = cached_images(tmp_path / "file", "train-1", SHAPE, fill_with_zeros)

    assert images.shape == SHAPE
    assert "decoded again at each start" in caplog.text


def test_two_sizes_lie_side_by_side(tmp_path: Path) -> None:
    for name in ("train-8x8-1", "train-8x8-mine-1", "train-16x16-1", "train-8x8-2", "[a]-8x8-1", "[a]-8x8-2"):
        cached_images(tmp_path, name, SHAPE, fill_with_zeros)

    names = sorted(path.stem for path in tmp_path.iterdir())
    assert names == ["[a]-8x8-2", "train-16x16-1", "train-8x8-2", "train-8x8-mine-1"]


def sizes(folder: Path, kind: str) -> set[str]:
    return {path.stem.split("-")[1] for path in folder.glob(f"{kind}-*.bin")}


def test_the_two_sizes_used_last_stay_and_any_in_use(tmp_path: Path) -> None:
    names = ["train-8x8-1", "train-16x16-1", "train-3x32x32-1", "train-more-4x4-1", "val-8x8-1"]
    for age, name in enumerate(names):
        (tmp_path / f"{name}.bin").touch()
        os.utime(tmp_path / f"{name}.bin", ns=(10**18 + age, 10**18 - age))

    with (tmp_path / "train-8x8-1.bin").open("rb") as file:  # another process would hold it like this
        fcntl.flock(file, fcntl.LOCK_SH)
        cached_images(tmp_path, "train-64x64-1", SHAPE, fill_with_zeros)
    assert sizes(tmp_path, "train") == {"8x8", "3x32x32", "64x64", "more"}
    cached_images(tmp_path, "train-4x4-1", SHAPE, fill_with_zeros)
    assert sizes(tmp_path, "train") == {"64x64", "4x4", "more"}
    cached_images(tmp_path, "train-2x2-1", SHAPE, fill_with_zeros)
    assert sizes(tmp_path, "train") == {"64x64", "4x4", "2x2", "more"}, "this process uses all three"
    assert sizes(tmp_path, "val") == {"8x8"}


def test_a_use_makes_a_file_no_newer(tmp_path: Path) -> None:
    cached_images(tmp_path, "train-8x8-1", SHAPE, fill_with_zeros)
    path = tmp_path / "train-8x8-1.bin"
    os.utime(path, ns=(10**18, 10**18))

    cached_images(tmp_path, "train-8x8-1", SHAPE, fill_with_ones)

    state = path.stat()
    assert state.st_mtime_ns == 10**18
    assert state.st_atime_ns > 10**18


def test_a_value_is_made_once_and_again_when_its_file_is_broken(tmp_path: Path) -> None:
    values = iter(([1.5, 2], [3], [4], [5]))

    def make() -> list[float]:
        return next(values)

    assert [stored(tmp_path, "mean-1", make) for _ in range(2)] == [[1.5, 2], [1.5, 2]]
    (tmp_path / "mean-1.json").write_text("[1.5,")
    assert [stored(tmp_path, "mean-1", make) for _ in range(2)] == [[3], [3]]
    assert stored(tmp_path, "mean-2", make) == [4]
    assert [path.name for path in tmp_path.iterdir()] == ["mean-2.json"]
    assert stored(tmp_path / "nowhere", "mean-2", make) == [5]
    assert not (tmp_path / "nowhere").exists()
