"""Images and targets in one ``.npz`` file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.errors import InputError
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 5, 5, 3), dtype=np.uint8)
TARGETS = np.arange(12) % 3


def make(folder: Path, options: dict[str, Any] | None = None, **arrays: Any) -> ImageFolder:
    if arrays:
        np.savez(folder / "data.npz", **arrays)
    return ImageFolder(str(folder / "data.npz"), **{"image_size": 5, "test_split": 0, **(options or {})})


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (PIXELS, PIXELS),
        (PIXELS.transpose(0, 3, 1, 2), PIXELS),
        (PIXELS[..., 0], PIXELS[..., :1].repeat(3, axis=3)),
        (PIXELS.astype(np.uint16) * 257, PIXELS),
        (PIXELS.astype(np.float32) / 255, PIXELS),
        (PIXELS.astype(np.int64), PIXELS),
    ],
    ids=["channels last", "channels first", "grey", "16 bits", "floats", "64 bits"],
)
def test_pixels_are_those_of_the_array(tmp_path: Path, array: np.ndarray, expected: np.ndarray) -> None:
    data = make(tmp_path, images=array, labels=TARGETS[:, None])
    for _ in range(2):
        batch = data.sets_of("train")["train"][range(12)]
        data = ImageFolder(str(tmp_path / "data.npz"), image_size=5, test_split=0)

    assert torch.equal(batch.image, torch.from_numpy(expected).permute(0, 3, 1, 2))
    assert batch.target is not None
    assert batch.target.tolist() == TARGETS.tolist()
    assert data.class_names == ["0", "1", "2"]


def test_splits_and_names_of_classes(tmp_path: Path) -> None:
    """As some collections are: one array for each split."""
    names = np.array(["ant", "bee", "cat"])
    data = make(
        tmp_path,
        x_train=PIXELS[:6],
        y_train=names[TARGETS[:6]],
        x_test=PIXELS[6:],
        y_test=names[TARGETS[6:]],
    )

    assert data.class_names == ["ant", "bee", "cat"]
    assert len(data.sets_of("train")["train"]) == 6
    batch = data.sets_of("test")["test"][[1]]
    assert torch.equal(batch.image[0], torch.from_numpy(PIXELS[7]).permute(2, 0, 1))
    assert batch.target is not None
    assert batch.target.tolist() == [1]


def test_several_labels(tmp_path: Path) -> None:
    rows = np.array([[0, 1], [1, 1], [0, 0]] * 4)
    data = make(tmp_path, images=PIXELS, targets=rows, class_names=np.array(["sun", "rain"]))
    data.setup("fit")

    assert data.class_names == ["sun", "rain"]
    targets = data.sets_of("train")["train"].targets
    assert targets is not None
    assert targets.tolist() == rows.tolist()


def test_other_sizes_are_scaled_and_cropped_at_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((4, 6, 18), dtype=np.uint8)
    wide[:, :, 6:12] = 200  # the middle third
    data = make(tmp_path, {"image_size": 3}, images=wide, targets=TARGETS[:4])

    image = data.sets_of("train")["train"][range(4)].image
    assert image[:, :, :, 1].unique().tolist() == [200]
    assert image.float().mean() > 170


def test_floats_of_unknown_range_are_scaled_by_their_own_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = make(tmp_path, images=PIXELS.astype(np.float32) - 100, targets=TARGETS)

    low, high = float(PIXELS.min()), float(PIXELS.max())
    expected = torch.from_numpy((PIXELS - low) / (high - low) * 255).round().byte().permute(0, 3, 1, 2)
    assert torch.equal(data.sets_of("train")["train"][range(12)].image, expected)
    assert "'images' has levels of unknown range, scaled from [-100, 155]" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": PIXELS}, r"expected arrays 'images' and 'targets' in .*, got \['images'\]"),
        ({"images": PIXELS, "targets": TARGETS[:5]}, "an image for each target, got 12 images and 5 targets"),
        (
            {"images": PIXELS[..., :2], "targets": TARGETS},
            r"of 1 or 3 channels, got \(12, 5, 5, 2\) in 'images'",
        ),
        ({"images": PIXELS, "targets": TARGETS - 1}, r"expected targets \(N,\) of class indices or names"),
        ({"images": PIXELS, "targets": np.array([None] * 12)}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(
    tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        make(tmp_path, **arrays).prepare_data()
    assert "\n" not in str(caught.value)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_text("text")

    with pytest.raises(InputError, match=r"expected arrays, got .*data.npz: .*; repair the file"):
        ImageFolder(str(tmp_path / "data.npz"))


def test_arrays_are_squeezed_and_their_shape_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (12, 6, 12, 3), dtype=np.uint8)
    expected = np.stack([Image.fromarray(image).resize((5, 5), Image.Resampling.BILINEAR) for image in wide])
    options = {"stored_size": 5, "val_split": 2}
    for arrays in ({"images": wide, "labels": TARGETS}, {}):
        data = make(tmp_path, options, **arrays)
        data.prepare_data()
        data.setup("fit")
        examples = data.train_set[range(10)]
        assert torch.equal(examples.aspect, torch.full((10,), 2.0))
        reference = torch.from_numpy(expected).permute(0, 3, 1, 2)[examples.index]
        assert (examples.image.int() - reference.int()).abs().max() <= 1
        monkeypatch.setattr("my_project.engine.layouts.arrays._channels_first", None)  # not needed again
