"""Mean and standard deviation of pixels, in bounded memory."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CHUNK_BYTES = 4 << 20  # pixels at a time; counting them needs about eight times that


def pixel_statistics(
    pixels: Callable[[Sequence[int]], Tensor], positions: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, of pixels in ``[0, 1]``.

    Args:
        pixels: Returns the pixels at given positions, ``(B, C, H, W)`` uint8, or float in ``[0, 1]``.
        positions: The positions to measure; at least one.

    Returns:
        ``(C,)`` float32 each, on the CPU; no deviation is below 0.001.
    """
    size = max(1, CHUNK_BYTES // max(1, pixels(positions[:1]).nbytes))
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for start in range(0, len(positions), size):
        channels = pixels(positions[start : start + size]).transpose(0, 1).flatten(1)
        if channels.is_floating_point():
            total = total + channels.double().sum(dim=1).cpu()
            squares = squares + channels.double().square().sum(dim=1).cpu()
        else:
            counts = torch.stack([torch.bincount(channel, minlength=256) for channel in channels])
            levels, counts = torch.arange(256).double() / 255, counts.double().cpu()
            total, squares = total + counts @ levels, squares + counts @ levels.square()
        count += channels.shape[1]
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp_min(1e-6).sqrt().float()
