"""Random changes of whole batches, with separate parameters for each image."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..engine.augment import Augmentation, spatial_fields, uniform_of
from ..engine.errors import InputError, check_least
from ..structs import ImageExample

GREY = 128


@dataclass(frozen=True)
class Augment(Augmentation):
    """Crop, flip and cutout in one gather over the batch, on the device, in uint8.

    Attributes:
        padding: Crop at a random offset of at most this many pixels; what lies outside is reflected.
        flip: Mirror each image left to right with probability 0.5.
        cutout: Side in pixels of a grey square at a random place; 0 for none.
    """

    padding: int = 0
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        check_least(0, padding=self.padding, cutout=self.cutout)

    def __call__(self, example: ImageExample, *, seed: int, epoch: int) -> ImageExample:
        """The batch, changed; an example without ``index`` gets random numbers that do not repeat."""
        if not (self.padding or self.flip or self.cutout):
            return example
        image = example.image
        size, (height, width) = len(image), image.shape[-2:]
        if self.padding >= min(height, width):
            raise InputError(f"expected padding below {min(height, width)} pixels, got {self.padding}")
        draws = uniform_of(example, 5, seed=seed, epoch=epoch)
        offsets = (draws[:2] * (2 * self.padding + 1)).long() - self.padding
        rows = _reflect(torch.arange(height, device=image.device) + offsets[0, :, None], height)
        cols = _reflect(torch.arange(width, device=image.device) + offsets[1, :, None], width)
        if self.flip:
            cols = torch.where(draws[2, :, None] < 0.5, cols, width - 1 - cols)
        places = (rows[:, :, None] * width + cols[:, None, :]).view(size, 1, -1)
        moved = {name: _move(example.tensors[name], places) for name in spatial_fields(example)}
        image = _move(image, places)
        if self.cutout:
            hidden = (
                _span(draws[3], height, self.cutout)[:, :, None]
                & _span(draws[4], width, self.cutout)[:, None]
            )
            image = image.masked_fill(hidden[:, None], GREY)
        return replace(example, **moved, image=image)


def _move(values: Tensor, places: Tensor) -> Tensor:
    """Pixels ``(B, ..., H, W)`` taken from ``places``, ``(B, 1, H * W)`` int64."""
    flat = values.view(len(values), -1, places.shape[-1])
    return flat.gather(2, places.expand(-1, flat.shape[1], -1)).view_as(values)


def _reflect(position: Tensor, size: int) -> Tensor:
    return (size - 1) - ((size - 1) - position.abs()).abs()


def _span(draw: Tensor, size: int, length: int) -> Tensor:
    """``(B, size)`` bool: which pixels of an axis the square covers; its centre is anywhere."""
    start = (draw * size).long() - length // 2
    pixels = torch.arange(size, device=draw.device)
    return (pixels >= start[:, None]) & (pixels < start[:, None] + length)
