"""Which files are images, and which are left out."""

import os
from pathlib import Path

import pytest
from my_project.engine.images.finding import find_by_class, find_images, suffixes
from PIL import Image


def test_finds_images_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "deep.png").mkdir()
    (tmp_path / "deep.png" / "c.webp").touch()

    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]

    assert found == ["a.png", "b.JPG", "deep.png/c.webp"]


def test_hidden_and_system_files_are_left_out_and_others_are_read_or_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (
        *("cat/a.jpg", "cat/.ipynb_checkpoints/a-checkpoint.jpg", "cat/b.jfif", "cat/__MACOSX/a.jpg"),
        *("cat/Thumbs.db", "cat/.DS_Store", "cat/._a.jpg", "dog/desktop.ini", "dog/@eaDir/c.jpg"),
        *("dog/c.pgm", "dog/c.raw", "dog/LICENSE"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("no image")

    cat, dog = find_by_class(tmp_path, ["cat", "dog"])

    assert [path.name for path in (*cat, *dog)] == ["a.jpg", "b.jfif", "c.pgm"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"left out 2 files that are not images in {tmp_path}, such as {tmp_path / 'dog/LICENSE'}"


@pytest.mark.parametrize("name", ["photo", "photo.data", "photo.txt"])
@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF"]
)
def test_an_image_of_any_name_is_known_by_its_content(tmp_path: Path, kind: str, name: str) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / name, format=kind)

    assert find_images(tmp_path) == [tmp_path / name]


def test_what_pillow_writes_it_also_knows_by_suffix_and_what_runs_programs_is_not_read() -> None:
    assert {".jpg", ".png", ".webp", ".tif", ".avif", ".jp2", ".qoi", ".jfif", ".tga", ".ppm"} <= suffixes()
    assert {".eps", ".ps", ".mpg", ".h5", ".wmf"}.isdisjoint(suffixes())


def test_links_are_followed_and_one_that_goes_round_is_not(tmp_path: Path) -> None:
    """A class is a link, one image is, one folder leads to its own parent and one nowhere."""
    store, data = tmp_path / "store", tmp_path / "data"
    (store / "deep").mkdir(parents=True)
    for name in ("1.png", "deep/2.png"):
        (store / name).touch()
    (tmp_path / "3.png").touch()
    data.mkdir()
    (data / "cat").symlink_to(store)
    (data / "dog").mkdir()
    (data / "dog" / "3.png").symlink_to(tmp_path / "3.png")
    (store / "deep" / "again").symlink_to(store)
    (store / "gone").symlink_to(tmp_path / "nowhere")

    found = [str(path.relative_to(data)) for path in find_images(data)]

    assert found == ["cat/1.png", "cat/deep/2.png", "dog/3.png"]


def test_a_name_that_is_no_text_can_be_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.doc")).touch()

    assert find_images(tmp_path) == []
    assert "caf\\xe9.doc" in caplog.text
