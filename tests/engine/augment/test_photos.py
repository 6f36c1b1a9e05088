"""Photos: each result has a reference in torchvision, and depends on nothing but its own numbers."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from my_project.engine.augment import PhotoAugment, View, spatial_fields
from my_project.engine.augment.geometry import affine, random_boxes, resample
from my_project.engine.augment.pixels import blur, erase, recolour
from my_project.engine.errors import InputError
from my_project.structs import ImageExample
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as theirs

EVERYTHING = PhotoAugment(
    rotation=20,
    shear=10,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grey=0.2,
    blur=0.5,
    erasing=0.3,
    size=(16, 20),
)
PLAIN = PhotoAugment(scale=(1, 1), ratio=(1, 1), flip=0)


@dataclass(kw_only=True, eq=False)
class Masked(ImageExample):
    """An image, a mask for a target, and a depth."""

    depth: Tensor
    spatial = ("target", "depth")


def smooth(size: int = 12, side: int = 40, channels: int = 3) -> Tensor:
    """Photos without sharp edges, where two ways of interpolation agree."""
    coarse = torch.rand(size, channels, 5, 5, generator=torch.Generator().manual_seed(0))
    return (functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1) * 255).byte()


def stored(size: int = 12, side: int = 40) -> ImageExample:
    aspect = torch.linspace(0.3, 3, size)
    return ImageExample(image=smooth(size, side), aspect=aspect, index=torch.arange(size))


def maps_of(boxes: list[float], *, turn: float = 0, flip: float = 1, k: float = 1) -> Tensor:
    none = torch.zeros(2, 1)
    box = torch.tensor(boxes)[:, None]
    return affine(box, torch.tensor([flip]), torch.tensor([turn]), none, none, k)


def test_each_photo_is_the_same_in_any_batch_and_other_in_another_epoch_or_seed() -> None:
    batch = stored(21)
    whole = EVERYTHING(batch, seed=3, epoch=5).image

    assert whole.shape == (21, 3, 16, 20)
    for part in (slice(0, 1), slice(7, 20)):
        torch.testing.assert_close(EVERYTHING(batch[part], seed=3, epoch=5).image, whole[part])
    for other in (EVERYTHING(batch, seed=4, epoch=5), EVERYTHING(batch, seed=3, epoch=6)):
        assert (other.image != whole).flatten(1).any(dim=1).all()


def test_nothing_random_keeps_the_photo() -> None:
    batch = replace(stored(), aspect=None)

    torch.testing.assert_close(PLAIN(batch, seed=0, epoch=0).image, batch.image)


def test_a_crop_is_that_of_torchvision() -> None:
    image = smooth(1, 40)
    got = resample(image, maps_of([0.4, 0.55, 0.5, 0.4]), (24, 20))

    expected = theirs.resized_crop(image.float(), top=14, left=6, height=16, width=20, size=[24, 20])
    inside = (..., slice(1, -1), slice(1, -1))  # torchvision cuts first, and repeats what is at the cut
    torch.testing.assert_close(got[inside], expected[inside], atol=0.01, rtol=0)


@pytest.mark.parametrize("k", [1.0, 1.5])
def test_a_rotation_is_that_of_torchvision_also_of_what_is_no_square(k: float) -> None:
    size = (40, round(40 * k))
    image = functional.interpolate(smooth(1).float(), size, mode="bilinear")
    got = resample(image, maps_of([0.5, 0.5, 1, 1], turn=30, k=k), size)

    expected = theirs.rotate(image, 30, interpolation=theirs.InterpolationMode.BILINEAR)
    inside = theirs.center_crop(expected - got, [20, 20])
    assert inside.abs().max() < 1
    assert (got - image).abs().max() > 20


def test_half_of_the_photos_are_mirrored() -> None:
    image = smooth(1).expand(400, -1, -1, -1)
    batch = ImageExample(image=image, index=torch.arange(400))
    images = replace(PLAIN, flip=0.5)(batch, seed=0, epoch=0).image

    is_mirrored = (images == image.flip(-1)).flatten(1).all(dim=1)
    assert 160 < is_mirrored.sum() < 240
    torch.testing.assert_close(images[~is_mirrored], image[~is_mirrored])


def test_boxes_have_their_area_and_shape_and_lie_within() -> None:
    draws, aspect = torch.rand(4, 5000, generator=torch.Generator().manual_seed(1)), torch.full((5000,), 1.5)
    x, y, width, height = random_boxes(draws, aspect, (0.1, 0.3), (0.75, 4 / 3))

    assert ((x - width / 2 > -1e-5) & (x + width / 2 < 1 + 1e-5)).all()
    assert ((y - height / 2 > -1e-5) & (y + height / 2 < 1 + 1e-5)).all()
    area, shape = width * height, width * aspect / height
    assert 0.0999 < area.min() < 0.105
    assert 0.295 < area.max() < 0.3001
    assert 0.7499 < shape.min() < 0.755
    assert 1.32 < shape.max() < 1.3335
    assert abs(shape.log().mean()) < 0.01


def test_a_box_that_does_not_fit_keeps_its_shape_and_shrinks() -> None:
    draws = torch.rand(4, 500, generator=torch.Generator().manual_seed(1))
    x, y, width, height = random_boxes(draws, torch.full((500,), 1.5), (0.9, 1.0), (3.0, 3.0))

    torch.testing.assert_close(width, torch.ones(500))
    torch.testing.assert_close(height, torch.full((500,), 0.5))
    torch.testing.assert_close(x, torch.full((500,), 0.5))
    assert y.min() < 0.26
    assert y.max() > 0.74


def test_a_squeezed_photo_comes_out_in_its_own_shape() -> None:
    """A circle of a wide photo is a circle again, in training and in evaluation."""
    y, x = torch.meshgrid(torch.arange(60), torch.arange(120), indexing="ij")
    circle = (((x - 59.5) ** 2 + (y - 29.5) ** 2) < 20**2).float()[None, None] * 255
    squeezed = functional.interpolate(circle, (48, 48), mode="bilinear", antialias=True).byte()
    batch = ImageExample(image=squeezed, aspect=torch.tensor([2.0]), index=torch.zeros(1).long())
    cropped = resample(squeezed, maps_of([0.5, 0.5, 0.5, 1]), (48, 48))
    for seen in (View(stored=48, size=(48, 48))(batch).image, cropped):
        disc = seen[0, 0] > 127
        assert abs(int(disc.any(dim=0).sum()) - int(disc.any(dim=1).sum())) <= 1
        assert abs(int(disc.sum()) - 3.1416 * 16**2) < 25


@pytest.mark.parametrize(("side", "size"), [(256, 56), (64, 56), (40, 70)])
def test_evaluation_is_resize_and_centre_crop_of_torchvision(side: int, size: int) -> None:
    image = torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8)
    view = View(stored=side, size=(size, size), share=0.875)
    got = view(ImageExample(image=image, aspect=torch.ones(3))).image

    expected = theirs.resize(image.float(), [round(size / 0.875)] * 2, antialias=True)
    expected = theirs.center_crop(expected, [size, size]).round().clamp(0, 255).byte()
    assert (got.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize(("aspect", "rows", "cols"), [(2.0, 16, 32), (0.5, 32, 16), (1.0, 32, 32)])
def test_padding_shows_the_whole_photo_with_grey_beside_it(aspect: float, rows: int, cols: int) -> None:
    white = torch.full((1, 3, 40, 40), 255, dtype=torch.uint8)
    view = View(stored=40, size=(32, 32), fit="pad")
    seen = view(ImageExample(image=white, aspect=torch.tensor([aspect]))).image[0, 0]

    top, left = (32 - rows) // 2, (32 - cols) // 2
    assert (seen[top : top + rows, left : left + cols] == 255).all()
    assert (seen == 255).sum() == rows * cols
    assert (seen != 255).logical_or(seen == 255).all()
    assert set(seen.unique().tolist()) <= {128, 255}


def test_fine_stripes_turn_grey_and_not_into_coarse_ones() -> None:
    stripes = (torch.arange(256) // 2 % 2 * 255).byte().expand(1, 1, 256, 256)  # four pixels a period
    batch = ImageExample(image=stripes, aspect=torch.ones(1), index=torch.zeros(1).long())
    small = replace(PLAIN, size=(30, 30))(batch, seed=0, epoch=0).image.float()

    assert View(stored=256, size=(30, 30))(batch).image.float().std() < 15
    assert small.std() < 15
    grid = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 30, 30], align_corners=False)
    assert functional.grid_sample(stripes.float(), grid, align_corners=False).std() > 60


@pytest.mark.parametrize(
    ("name", "factor", "reference"),
    [
        ("brightness", 0.7, theirs.adjust_brightness),
        ("contrast", 0.6, theirs.adjust_contrast),
        ("saturation", 0.4, theirs.adjust_saturation),
    ],
)
def test_a_change_of_colour_is_that_of_torchvision(name: str, factor: float, reference: Any) -> None:
    image = smooth(2).float() / 255
    got = recolour(image, **neutral(2) | {name: torch.full((2,), factor)})

    torch.testing.assert_close(got, reference(image, factor), atol=5e-3, rtol=0)


def neutral(size: int) -> dict[str, Tensor]:
    one = torch.ones(size)
    none = {"hue": one * 0, "is_grey": torch.zeros(size, dtype=torch.bool)}
    return {"brightness": one, "contrast": one, "saturation": one, **none}


def test_hue_goes_round_and_keeps_the_luma_and_grey_has_one_colour() -> None:
    image = smooth(2).float()
    turned = recolour(image, **neutral(2) | {"hue": torch.full((2,), 0.25)})
    back = recolour(turned, **neutral(2) | {"hue": torch.full((2,), 0.75)})
    grey = recolour(image, **neutral(2) | {"is_grey": torch.ones(2, dtype=torch.bool)})

    torch.testing.assert_close(back, image, atol=0.05, rtol=0)
    assert (turned - image).abs().max() > 30
    luma = theirs.rgb_to_grayscale(image)
    torch.testing.assert_close(theirs.rgb_to_grayscale(turned), luma, atol=0.5, rtol=0)
    torch.testing.assert_close(grey, luma.expand(-1, 3, -1, -1), atol=0.5, rtol=0)


def test_blur_is_that_of_torchvision_inside_and_each_photo_has_its_own() -> None:
    image = torch.rand(2, 3, 41, 37) * 255
    got = blur(image, torch.tensor([1.5, 0.0]))

    expected = theirs.gaussian_blur(image, [13, 13], [1.5, 1.5])
    torch.testing.assert_close(got[0, :, 7:-7, 7:-7], expected[0, :, 7:-7, 7:-7], atol=0.05, rtol=1e-3)
    torch.testing.assert_close(got[1], image[1])


def test_a_rectangle_is_erased_where_it_should_be() -> None:
    image = torch.ones(2, 1, 10, 20)
    boxes = torch.tensor([[0.25, 0.5, 0.5, 0.4]] * 2).T
    got = erase(image, boxes, torch.tensor([True, False]), 0.0)

    assert got[0, 0, 3:7, :10].sum() == 0
    assert got[0].sum() == 200 - 40
    assert got[1].sum() == 200


def test_a_mask_and_a_depth_move_with_the_photo() -> None:
    image = smooth(30, 40, channels=1).float() / 255
    batch = Masked(image=image, target=(image[:, 0] * 255).long(), depth=image / 2, index=torch.arange(30))
    moved: Any = PhotoAugment(rotation=30, shear=10, size=(24, 24))(batch, seed=0, epoch=0)

    torch.testing.assert_close(moved.depth, moved.image / 2)
    difference = (moved.target / 255 - moved.image[:, 0]).abs()
    assert difference.mean() < 0.02
    assert moved.target.dtype == torch.int64
    assert set(moved.target.unique().tolist()) <= set(batch.target.unique().tolist()), "of the nearest pixels"
    assert spatial_fields(moved) == ["target", "depth"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0.0, 1.0)}, "expected 0 < scale"),
        ({"ratio": (2.0, 1.0)}, "expected 0 < ratio"),
        ({"hue": 0.6}, "expected hue in"),
        ({"grey": 1.5}, "expected grey in"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PhotoAugment(**options)
