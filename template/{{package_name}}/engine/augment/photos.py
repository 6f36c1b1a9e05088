"""Augmentation of photos: all that moves pixels in one resampling, then colour."""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal, Self

import torch
from torch import Tensor

from ..errors import InputError
from .base import Augmentation, spatial_fields
from .geometry import Range, affine, between, random_boxes, resample, scaled
from .pieces import in_pieces
from .pixels import blur, erase, recolour
from .policy import POLICIES, Changes, change_pixels, draw_changes, moves_of
from .random import uniform_of
from .view import GREY

NUM_DRAWS, OF_POLICY = 24, slice(20, 24)  # per image; another number would change all draws
ERASED, SHAPES = (0.02, 0.33), (0.3, 3.3)  # share of the area that is hidden, and its width / height


@dataclass(frozen=True)
class PhotoAugment(Augmentation):
    """Random resized crop, flip, rotation, shear, colour, blur and erasing; each image has its own numbers.

    Attributes:
        scale: Least and largest share of a photo's area that a crop takes.
        ratio: Least and largest width of a crop divided by its height.
        flip: Mirror left and right with this probability.
        rotation: Turn by at most so many degrees, both ways.
        shear: Slant by at most so many degrees, along x and along y.
        brightness: Multiply by a factor in ``1 ± brightness``.
        contrast: Likewise, the distance from the mean luma.
        saturation: Likewise, the distance from grey.
        hue: Turn the hue by at most this part of a full turn, both ways; at most 0.5.
        grey: Probability of a grey image.
        blur: Probability of a Gaussian blur.
        sigma: Least and largest standard deviation of the blur in pixels.
        erasing: Probability of a grey rectangle, of 2 to 33 % of the image.
        policy: In addition, ``trivial`` gives each image one change of fourteen kinds and of any size,
            ``rand`` two of medium size.
        size: Height and width of the result; ``None`` is that of the datamodule's images.

    Raises:
        InputError: A number lies outside of its range.

    References:
        Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021;
        Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", 2020.
    """

    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    flip: float = 0.5
    rotation: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    sigma: Range = (0.1, 2.0)
    erasing: float = 0.0
    policy: Literal["trivial", "rand"] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.policy not in (None, *POLICIES):
            raise InputError(f"expected a policy of {', '.join(POLICIES)}, got {self.policy!r}")
        largest = dict.fromkeys(("flip", "grey", "blur", "erasing", "brightness", "contrast"), 1.0)
        largest |= {"hue": 0.5, "shear": 80.0}
        for field in fields(self):
            value = vars(self)[field.name]
            if isinstance(value, int | float) and not 0 <= value <= largest.get(field.name, 360.0):
                limit = largest.get(field.name, 360.0)
                raise InputError(f"expected {field.name} in [0, {limit:g}], got {value}")
        for name, (low, high), limit in (
            ("scale", self.scale, 1.0),
            ("ratio", self.ratio, 100.0),
            ("sigma", self.sigma, 100.0),
        ):
            if not 0 < low <= high <= limit:
                raise InputError(f"expected 0 < {name}[0] <= {name}[1] <= {limit:g}, got [{low}, {high}]")

    def sized(self, size: tuple[int, int]) -> Self:
        return self if self.size else replace(self, size=size)

    def __call__(self, example: Any, *, seed: int, epoch: int) -> Any:
        """The batch in ``size``; photos stored as squares (with ``aspect``) get their shape back."""
        spatial = spatial_fields(example)
        image, size = example.image, self.size or tuple(example.image.shape[-2:])
        draws = uniform_of(example, NUM_DRAWS, seed=seed, epoch=epoch)
        aspect = example.aspect
        if aspect is None:
            aspect = torch.full_like(draws[0], image.shape[-1] / image.shape[-2])
        maps = self._maps(draws, aspect, size)
        moved = {name: _move(example.tensors[name], maps, size) for name in spatial}
        images = in_pieces(partial(self._change, size=size), image, maps, draws.T, size=size)
        return replace(example, **moved, image=images, aspect=None)

    @property
    def _stays_inside(self) -> bool:
        return not (self.rotation or self.shear or self.policy)

    def _maps(self, draws: Tensor, aspect: Tensor, size: tuple[int, int]) -> Tensor:
        boxes = random_boxes(draws[:4], aspect, self.scale, self.ratio)
        flips = torch.where(draws[4] < self.flip, -1.0, 1.0)
        if self._stays_inside:
            return scaled(boxes, flips)
        both = (-1.0, 1.0)
        turns, shears = between(draws[5], both) * self.rotation, between(draws[6:8], both) * self.shear
        moves = torch.zeros_like(draws[:2])
        if self.policy:
            policy = POLICIES[self.policy]
            turn, shear, moves = moves_of(policy, draw_changes(policy, draws[OF_POLICY]), size)
            turns, shears = turns + turn, shears + shear
        return affine(boxes, flips, turns, shears.clamp(-80, 80), moves, size[1] / size[0])

    def _change(self, image: Tensor, maps: Tensor, draws: Tensor, *, size: tuple[int, int]) -> Tensor:
        draws = draws.T
        is_bytes = image.dtype == torch.uint8
        top = 255 if is_bytes else 1
        result = resample(image, maps, size, inside=self._stays_inside)
        changes = draw_changes(POLICIES[self.policy], draws[OF_POLICY]) if self.policy else None
        if changes or self.brightness or self.contrast or self.saturation or self.hue or self.grey:
            result = self._recolour(result, draws, changes).clamp_(0, top)
        if self.policy and changes:
            scaled = result if is_bytes else result * 255
            result = change_pixels(POLICIES[self.policy], changes, scaled.round())
            result = result if is_bytes else result / 255
        if self.blur:
            result = blur(result, between(draws[14], self.sigma) * (draws[13] < self.blur))
        if self.erasing:
            boxes = random_boxes(draws[16:20], torch.full_like(draws[0], size[1] / size[0]), ERASED, SHAPES)
            result = erase(result, boxes, draws[15] < self.erasing, GREY * top / 255)
        return result.add_(0.5).byte() if is_bytes else result.to(image.dtype)

    def _recolour(self, image: Tensor, draws: Tensor, changes: Changes | None) -> Tensor:
        factors = {
            "brightness": _factor(draws[8], self.brightness),
            "contrast": _factor(draws[9], self.contrast),
            "saturation": _factor(draws[10], self.saturation),
        }
        if self.policy and changes:
            most = POLICIES[self.policy].factor
            factors = {name: factor * (1 + changes.of(name) * most) for name, factor in factors.items()}
        hue = between(draws[11], (-self.hue, self.hue)) if self.hue else None
        return recolour(image, **factors, hue=hue, is_grey=draws[12] < self.grey)


def _factor(draw: Tensor, most: float) -> Tensor:
    return between(draw, (max(0.0, 1 - most), 1 + most))


def _move(values: Tensor, maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Move a field that lies on the image, ``(B, ..., H, W)``; integers take the nearest pixel."""
    flat = values.view(len(values), -1, *values.shape[-2:])
    moved = resample(flat, maps, size, nearest=not values.is_floating_point())
    return moved.to(values.dtype).view(*values.shape[:-2], *size)
