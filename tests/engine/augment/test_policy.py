"""TrivialAugment and RandAugment: each change is torchvision's, and all are drawn."""

import math
from typing import Any

import pytest
import torch
from my_project.engine.augment import PhotoAugment, uniform
from my_project.engine.augment.photos import NUM_DRAWS, OF_POLICY
from my_project.engine.augment.policy import KINDS, POLICIES, draw_changes
from my_project.engine.errors import InputError
from my_project.structs import ImageExample
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as theirs

NUM, SIDE = 2800, 64
PLAIN: dict[str, Any] = {"scale": (1, 1), "ratio": (1, 1), "flip": 0}
BILINEAR = theirs.InterpolationMode.BILINEAR


def strengths(policy: Any) -> Tensor:
    """``(14, NUM)`` of the first epoch, as ``PhotoAugment`` draws them."""
    draws = uniform(torch.arange(NUM), NUM_DRAWS, seed=0, epoch=0)
    return draw_changes(POLICIES[policy], draws[OF_POLICY]).strength


def photos(size: int = 1) -> Tensor:
    coarse = torch.rand(size, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return (functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0.1, 0.9) * 255).byte()


def by_torchvision(kind: str, image: Tensor, amount: float) -> Tensor:
    """What ``TrivialAugmentWide`` makes, about the centre of the image."""
    largest = v2.TrivialAugmentWide()._AUGMENTATION_SPACE
    name = {
        "shear_x": "ShearX",
        "shear_y": "ShearY",
        "translate_x": "TranslateX",
        "translate_y": "TranslateY",
    }
    name |= {"saturation": "Color", "autocontrast": "AutoContrast"}
    sizes: Any = largest[name.get(kind, kind.capitalize())][0](31, SIDE, SIDE)
    number = round(abs(amount) * 30)
    size = 0.0 if sizes is None else float(sizes[number]) * (-1 if amount < 0 else 1)
    moved: dict[str, Any] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    angle = math.degrees(math.atan(size))
    moves = {
        "shear_x": {"shear": [angle, 0.0]},
        "shear_y": {"shear": [0.0, angle]},
        "translate_x": {"translate": [size, 0]},
        "translate_y": {"translate": [0, size]},
        "rotate": {"angle": -size},
    }
    if kind in moves:
        return theirs.affine(image.float(), **moved | moves[kind], interpolation=BILINEAR)
    changes: dict[str, Any] = {
        "identity": lambda: image,
        "brightness": lambda: theirs.adjust_brightness(image, 1 + size),
        "saturation": lambda: theirs.adjust_saturation(image, 1 + size),
        "contrast": lambda: theirs.adjust_contrast(image, 1 + size),
        "sharpness": lambda: theirs.adjust_sharpness(image, 1 + size),
        "posterize": lambda: theirs.posterize(image, int(size)),
        "solarize": lambda: theirs.solarize(image, round(255 * size, 3)),
        "autocontrast": lambda: theirs.autocontrast(image),
        "equalize": lambda: theirs.equalize(image),
    }
    return changes[kind]().float()


@pytest.mark.parametrize("kind", KINDS)
def test_each_change_is_that_of_torchvision(kind: str) -> None:
    image, row = photos(), KINDS.index(kind)
    is_moved = "_" in kind or kind == "rotate"
    if not is_moved:
        image = (image + torch.randint(0, 26, image.shape)).byte()
    draws = uniform(torch.arange(NUM), NUM_DRAWS, seed=0, epoch=0)
    changes = draw_changes(POLICIES["trivial"], draws[OF_POLICY])
    chosen = changes.is_chosen[row].nonzero()[:12, 0]
    batch = ImageExample(image=image.expand(len(chosen), -1, -1, -1), index=chosen)
    got = PhotoAugment(**PLAIN, policy="trivial")(batch, seed=0, epoch=0).image.float()

    for one, index in zip(got, chosen, strict=True):
        expected = by_torchvision(kind, image, float(changes.strength[row, index]))[0]
        difference = (one - expected).abs()
        if is_moved:  # beyond the border theirs is black
            difference = difference[(expected > 20) & (functional.max_pool2d(-expected, 3, 1, 1) < -20)]
            assert difference.mean() < 1.5
        else:
            assert difference.max() <= (2 if kind == "saturation" else 1)  # torchvision rounds the grey, too
    if kind != "identity":
        assert (got - image.float()).abs().max() > 10


def test_each_kind_comes_as_often_and_in_all_sizes_of_both_signs() -> None:
    found = strengths("trivial")
    draws = uniform(torch.arange(NUM), NUM_DRAWS, seed=0, epoch=0)
    counts = draw_changes(POLICIES["trivial"], draws[OF_POLICY]).is_chosen.sum(dim=1)

    assert (counts - NUM / len(KINDS)).abs().max() < 60  # four deviations
    for kind, values in zip(KINDS, found, strict=True):
        signed = KINDS.index(kind) < 10
        assert values.max() == 1
        assert values.min() == (-1 if signed else 0)
    assert (strengths("rand") != 0).sum(dim=0).max() == 2
    assert set((strengths("rand").abs() * 30).round().unique().tolist()) == {0, 9, 18}


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_an_image_gets_the_same_in_any_batch_and_a_float_what_bytes_get(policy: Any) -> None:
    augment = PhotoAugment(policy=policy, hue=0.1)
    batch = ImageExample(image=photos(40), index=torch.arange(40))
    whole = augment(batch, seed=1, epoch=2).image

    torch.testing.assert_close(augment(batch[7:26], seed=1, epoch=2).image, whole[7:26])
    assert (augment(batch, seed=1, epoch=3).image != whole).flatten(1).any(dim=1).all()
    as_float = ImageExample(image=batch.image.float() / 255, index=batch.index)
    difference = augment(as_float, seed=1, epoch=2).image * 255 - whole.float()
    assert difference.abs().mean() < 1


def test_another_policy_is_refused() -> None:
    with pytest.raises(InputError, match="expected a policy of trivial, rand, got 'auto'"):
        PhotoAugment(policy="auto")  # type: ignore[arg-type]
