"""Random changes of whole batches, with parameters of its own for each image."""

from abc import ABC
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..engine.errors import InputError
from ..structs import ImageExample

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
GREY = 128


def uniform(index: Tensor, num: int, *, seed: int, epoch: int) -> Tensor:
    """Random numbers that depend on ``(seed, epoch, index)`` alone.

    So an image is augmented alike whatever batch, device, rank or resumed run it comes in.

    Args:
        index: ``(B,)`` int64 positions in the dataset.
        num: How many numbers for each.
        seed: Any integer.
        epoch: Number of the epoch, from 0.

    Returns:
        ``(num, B)`` float32 in ``[0, 1)`` on the device of ``index``.

    References:
        Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014 (its 64-bit mixer).

    Example:
        >>> uniform(torch.tensor([7]), 1, seed=0, epoch=1)
        tensor([[0.5247]])
        >>> uniform(torch.tensor([5, 7]), 1, seed=0, epoch=1)
        tensor([[0.3097, 0.5247]])
    """
    key = _signed((seed * 0x10001 + epoch + 1) * FIRST)
    count = torch.arange(num, device=index.device)[:, None]
    bits = (index * num + count) * _signed(GOLDEN) + key
    bits = (bits ^ _shift(bits, 30)) * _signed(FIRST)
    bits = (bits ^ _shift(bits, 27)) * _signed(SECOND)
    return _shift(bits ^ _shift(bits, 31), 40).float() / 2**24


@dataclass(frozen=True)
class Augment(ABC):  # noqa: B024 - of a dataclass alone, a config could name no subclass
    """Crop, flip and cutout by one gather over the batch, on the device and on uint8.

    Attributes:
        padding: Crop at a random offset of at most this many pixels; what lies outside is reflected.
        flip: Mirror each image left to right with probability 0.5.
        cutout: Side in pixels of a grey square at a random place; 0 for none.
    """

    padding: int = 0
    flip: bool = False
    cutout: int = 0

    def __call__(self, example: ImageExample, *, seed: int, epoch: int) -> ImageExample:
        """The batch, changed; an example without ``index`` gets random numbers that do not repeat."""
        if not (self.padding or self.flip or self.cutout):
            return example
        image = example.image
        size, (height, width) = len(image), image.shape[-2:]
        if not 0 <= self.padding < min(height, width):
            raise InputError(f"expected padding below {min(height, width)} pixels, got {self.padding}")
        index = example.index
        if index is None:
            index = torch.randint(2**62, (size,), device=image.device)
        draws = uniform(index.to(image.device), 5, seed=seed, epoch=epoch)
        offsets = (draws[:2] * (2 * self.padding + 1)).long() - self.padding
        rows = _reflect(torch.arange(height, device=image.device) + offsets[0, :, None], height)
        cols = _reflect(torch.arange(width, device=image.device) + offsets[1, :, None], width)
        if self.flip:
            cols = torch.where(draws[2, :, None] < 0.5, cols, width - 1 - cols)
        places = (rows[:, :, None] * width + cols[:, None, :]).view(size, 1, -1)
        moved = {name: _move(example.tensors[name], places) for name in _spatial(example)}
        image = _move(image, places)
        if self.cutout:
            hidden = (
                _span(draws[3], height, self.cutout)[:, :, None]
                & _span(draws[4], width, self.cutout)[:, None]
            )
            image = image.masked_fill(hidden[:, None], GREY)
        return replace(example, **moved, image=image)


def _spatial(example: ImageExample) -> list[str]:
    """Fields that move with the image.

    Raises:
        InputError: A field lies on the image and does not say so, or says so and has another size.
    """
    size = example.image.shape[-2:]
    on_image = [
        name for name, value in example.tensors.items() if value.ndim > 2 and value.shape[-2:] == size
    ]
    if forgotten := [name for name in on_image if name not in (*example.spatial, "image")]:
        raise InputError(
            f"{type(example).__name__}.{forgotten[0]} lies on the image: list it in spatial, so that "
            "augmentation moves it, too"
        )
    spatial = [name for name in example.spatial if name in example.tensors]
    if other := [name for name in spatial if name not in on_image]:
        raise InputError(
            f"{type(example).__name__}.{other[0]} is listed in spatial, but its height and width are not "
            "those of the image"
        )
    return spatial


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


def _shift(bits: Tensor, by: int) -> Tensor:
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
