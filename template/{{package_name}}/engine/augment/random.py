"""Random numbers that depend on the example, and not on the batch it comes in."""

import torch
from torch import Tensor

from ..contracts import Example

GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def uniform(index: Tensor, num: int, *, seed: int, epoch: int) -> Tensor:
    """Random numbers that depend on ``(seed, epoch, index)`` alone.

    So an image is augmented alike in any batch, on any device and rank, and in a resumed run.

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


def uniform_of(example: Example, num: int, *, seed: int, epoch: int) -> Tensor:
    """``uniform`` of a batch; one without ``index`` gets numbers that do not repeat."""
    index, image = example.index, example.tensors["image"]
    if index is None:
        index = torch.randint(2**62, (len(image),), device=image.device)
    return uniform(index.to(image.device), num, seed=seed, epoch=epoch)


def _shift(bits: Tensor, by: int) -> Tensor:
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
