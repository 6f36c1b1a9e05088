"""The example network for masks: a small U-Net."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..engine.errors import check_least
from ..structs import DataDescription, ImageExample, MulticlassPrediction
from .base import BaseModel
from .normalize import Normalize


class UNet(BaseModel):
    """Halves the image ``depth`` times and doubles it again; each size also sees that from the way down.

    Takes any height and width from ``2 ** depth`` pixels; the mask has the size of the image.

    Args:
        num_classes: Number of classes ``K``.
        in_channels: 3 for colour, 1 for grey images.
        width: Channels at full size; each smaller one has twice as many.
        depth: How many times the image is halved.
        **kwargs: See ``BaseModel``.

    References:
        Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
        https://arxiv.org/abs/1505.04597
    """

    def __init__(
        self, *, num_classes: int, in_channels: int = 3, width: int = 16, depth: int = 3, **kwargs: Any
    ) -> None:
        check_least(1, width=width)
        check_least(0, depth=depth)
        super().__init__(data=DataDescription(num_outputs=num_classes), **kwargs)
        self.normalize = Normalize(in_channels)
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            double_conv(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(double_conv(3 * after, after) for after in reversed(widths[:-1]))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, example: ImageExample) -> MulticlassPrediction:
        features, sizes = self.normalize(example.image), []
        for level, block in enumerate(self.down):
            features = block(self.pool(features) if level else features)
            sizes.append(features)
        for block, larger in zip(self.up, reversed(sizes[:-1]), strict=True):
            features = block(torch.cat([interpolate(features, size=larger.shape[-2:]), larger], dim=1))
        return MulticlassPrediction(logits=self.head(features))

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Normalise by the training images."""
        self.normalize.set_statistics(mean, std)

    def pictures(self, example: ImageExample) -> Tensor:
        """``(B, C, H, W)`` uint8."""
        return self.normalize.to_pixels(example.image)


def double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    """Two 3 x 3 convolutions that keep the size, each with batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        conv = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
