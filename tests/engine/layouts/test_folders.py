"""A folder for each class, with or without train, val and test around them."""

from pathlib import Path

import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from PIL import Image


def write(folder: Path, count: int = 6, level: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("L", (4, 4), level + number).save(folder / f"{number}.png")


def write_splits(root: Path, *splits: str) -> None:
    for number, split in enumerate(splits):
        write(root / split / "ant", level=20 * number)
        write(root / split / "bee", level=20 * number + 10)


def levels_of(data: ImageFolder, split: str) -> list[int]:
    images = data.sets_of(split)[split]
    return sorted(int(level) for level in images[range(len(images))].image[:, 0, 0, 0])


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "valid", "testing"), ("Training", "VALIDATION", "Test"), ("train", "val", "test")],
)
def test_the_usual_spellings_are_used_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, train: str, val: str, test: str
) -> None:
    caplog.set_level("INFO")
    write_splits(tmp_path, train, val, test)
    data = ImageFolder(str(tmp_path), image_size=4)

    said = [line for line in caplog.messages if line.startswith("folders in")]
    usual = {"train": train, "val": val, "test": test}
    expected = ", ".join(f"{split} is {name}/" for split, name in usual.items() if name != split)
    assert said == ([f"folders in {tmp_path}: {expected}"] if expected else [])
    for number, split in enumerate(usual):
        start = 20 * number
        assert levels_of(data, split) == [*range(start, start + 6), *range(start + 10, start + 16)]


def test_two_spellings_of_one_split_are_refused(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", "val", "valid")

    with pytest.raises(
        InputError, match=r"expected one folder for val in .*, got \['val', 'valid'\]; rename"
    ):
        ImageFolder(str(tmp_path))


def test_classes_at_the_top_are_split_with_each_class_by_its_share(tmp_path: Path) -> None:
    write(tmp_path / "train", 30)  # a class of vehicles
    write(tmp_path / "car", 90, level=100)
    (tmp_path / ".cache").mkdir()
    data = ImageFolder(str(tmp_path), image_size=4, test_split=0.2, val_split=0.25, seed=1)
    data.setup("fit")
    data.setup("test")

    assert data.class_names == ["car", "train"]
    sets = {name: data._sets[name] for name in ("train", "val/val", "test")}
    counts = {
        name: found.targets.bincount().tolist() for name, found in sets.items() if found.targets is not None
    }
    assert counts == {"test": [18, 6], "val/val": [18, 6], "train": [54, 18]}
    rows = torch.cat([found.rows for found in sets.values()])
    assert rows.sort().values.tolist() == list(range(120))
    assert not ImageFolder(str(tmp_path), image_size=4, test_split=0).has_test()


@pytest.mark.parametrize("sizes", [(99, 1), (57, 30, 13), (500, 40, 3)])
def test_each_class_is_within_one_image_of_its_share_of_what_is_held_out(
    tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    for number, size in enumerate(sizes):
        write(tmp_path / "train" / str(number), size)
    data = ImageFolder(str(tmp_path), image_size=4, val_split=0.2)
    data.setup("fit")

    targets = data._sets["val/val"].targets
    assert targets is not None
    for size, held_out in zip(sizes, targets.bincount(minlength=len(sizes)).tolist(), strict=True):
        assert abs(held_out - 0.2 * size) < 1


def test_a_validation_folder_may_lack_a_class_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_splits(tmp_path, "train")
    write(tmp_path / "val" / "bee")
    (tmp_path / "test" / "ant").mkdir(parents=True)
    write(tmp_path / "test" / "bee")
    data = ImageFolder(str(tmp_path), image_size=4)

    for split in ("val", "test"):
        caplog.clear()
        targets = data.sets_of(split)[split].targets
        assert targets is not None
        assert targets.tolist() == [1] * 6
        assert caplog.messages == [f"{split}, {tmp_path / split}, has no images of: ant"]


def test_an_unknown_class_in_validation_is_refused(tmp_path: Path) -> None:
    write_splits(tmp_path, "train", "val")
    write(tmp_path / "val" / "elk")

    with pytest.raises(
        InputError, match=r"expected the classes \['ant', 'bee'\] in .*val, got also \['elk'\]"
    ):
        ImageFolder(str(tmp_path), image_size=4).sets_of("val")


def test_what_is_not_understood_is_described_with_three_layouts_that_would_work(tmp_path: Path) -> None:
    """As from a competition: folders of files, and a table."""
    write(tmp_path / "photos" / "train")
    write(tmp_path / "photos" / "test")
    (tmp_path / "photos" / "train.csv").write_text("id,label\n")
    with pytest.raises(InputError) as caught:
        ImageFolder(str(tmp_path / "photos"))

    assert "\n" not in str(caught.value)
    root = tmp_path / "photos"
    assert str(caught.value) == (
        f"expected images by class, got folders test, train and files 1 x .csv in {root}; what would work: "
        "--data.init_args.labels=train.csv (a column of files, one of labels); "
        f"{root}/<class>/*.jpg for two classes or more; {root}/train/<class>/*.jpg, with "
        "val/ and test/ beside it"
    )


def test_a_folder_too_many_is_seen_through(tmp_path: Path) -> None:
    """As an archive is unpacked."""
    write_splits(tmp_path / "photos", "train", "val")

    with pytest.raises(InputError, match=rf"what would work: --data.init_args.data_dir={tmp_path}/photos "):
        ImageFolder(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        ((), "nothing"),
        (("a.png", "b.JPG", "c.txt"), "2 images and files 1 x .txt"),
        (("data.npz",), "files 1 x .npz"),
    ],
)
def test_what_is_seen_is_said(tmp_path: Path, names: tuple[str, ...], seen: str) -> None:
    for name in (*names, ".DS_Store", "Thumbs.db"):
        (tmp_path / name).touch()

    with pytest.raises(
        InputError, match=f"expected images by class, got {seen} in {tmp_path}; what would work"
    ):
        ImageFolder(str(tmp_path))
