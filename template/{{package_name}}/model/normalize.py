"""From stored pixels to network input."""

import torch
from torch import Tensor, nn

from ..engine.augment import in_pieces


class Normalize(nn.Module):
    """Scales uint8 pixels of so many channels to zero mean and unit variance, in channels-last memory.

    It is part of the model, so that batches travel as uint8 (a quarter of the bytes), pictures
    show what was stored, and a checkpoint knows how to treat a new image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_channels: int = 3) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_channels))
        self.register_buffer("std", torch.ones(num_channels))

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Use ``mean`` and ``std``, ``(C,)`` float of pixels in ``[0, 1]``."""
        self.mean, self.std = mean.to(self.mean), std.to(self.std)

    def forward(self, image: Tensor) -> Tensor:
        """``(B, C, H, W)`` float from uint8; a floating ``image`` is taken as normalised and passes."""
        if image.is_floating_point():
            return image
        return in_pieces(self._scale, image, dtype=self.mean.dtype, memory_format=torch.channels_last)

    def _scale(self, image: Tensor) -> Tensor:
        scale = (1 / (255 * self.std))[:, None, None]
        shift = (-self.mean / self.std)[:, None, None]
        return torch.addcmul(shift, image.to(scale.dtype), scale)

    def to_pixels(self, image: Tensor) -> Tensor:
        """``(B, C, H, W)`` uint8 to look at; a floating ``image`` is taken as normalised."""
        if not image.is_floating_point():
            return image
        pixels = image * self.std.to(image)[:, None, None] + self.mean.to(image)[:, None, None]
        return (pixels.nan_to_num() * 255).round().clamp(0, 255).byte()
