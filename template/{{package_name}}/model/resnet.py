"""The example network: a small residual network for small images."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..engine.errors import check_least
from ..engine.tasks import TASKS
from ..structs import DataDescription, ImageExample, Prediction
from .base import BaseModel
from .normalize import Normalize


class ResNet(BaseModel):
    """A stem, then a stage for each entry of ``depths``; each stage halves height and width.

    The default reaches 80 % on CIFAR-10 in minutes on a laptop's CPU: few channels where the image is
    large, at most one residual block where it is small.

    Args:
        num_classes: Number of classes or labels ``K``.
        task: One class for each image, or several labels.
        in_channels: 3 for colour, 1 for grey images.
        width: Channels of the first stage; the later ones have twice as many, the stem three eighths.
        depths: Convolutions in the residual block of each stage; 0 for a stage without one.
        stem_stride: 2 halves the image at once (32 x 32 and above), 1 keeps its size (8 x 8).
        **kwargs: See ``BaseModel``.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        task: Literal["multiclass", "multilabel"] = "multiclass",
        in_channels: int = 3,
        width: int = 64,
        depths: Sequence[int] = (0, 0, 1),
        stem_stride: int = 2,
        **kwargs: Any,
    ) -> None:
        check_least(1, width=width, stem_stride=stem_stride)
        check_least(0, **{f"depths[{stage}]": depth for stage, depth in enumerate(depths)})
        if task != "multiclass":  # else a subclass may say its own
            vars(self)["prediction_class"] = TASKS[task]
        num_outputs = None if num_classes == 1 else num_classes  # one output may stand for two classes
        super().__init__(data=DataDescription(num_outputs=num_outputs), **kwargs)
        self.normalize = Normalize(in_channels)
        channels = max(1, 3 * width // 8)
        # A 4 x 4 stem with stride 2 halves the image, a 3 x 3 one keeps it, both with padding 1.
        layers: list[nn.Module] = [conv_norm_act(in_channels, channels, stem_stride + 2, stem_stride)]
        for stage, depth in enumerate(depths):
            out_channels = width if stage == 0 else 2 * width
            layers.append(conv_norm_act(channels, out_channels, pool=2))
            if depth:
                layers.append(Residual(out_channels, depth))
            channels = out_channels
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, num_classes)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] # faster on CPUs and GPUs

    def forward(self, example: ImageExample) -> Prediction:
        features = self.features(self.normalize(example.image))
        return self.prediction_class.from_outputs(self.head(features.mean(dim=(2, 3))))

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        self.normalize.set_statistics(mean, std)

    def pictures(self, example: ImageExample) -> Tensor:
        return self.normalize.to_pixels(example.image)


class Residual(nn.Module):
    """Adds ``depth`` convolutions of its input to it."""

    def __init__(self, channels: int, depth: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(*(conv_norm_act(channels, channels) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def conv_norm_act(
    in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, pool: int = 1
) -> nn.Sequential:
    """Convolution with padding 1, max pooling, batch normalisation and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=1, bias=False)
    norm_act = (nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
    return nn.Sequential(conv, nn.MaxPool2d(pool), *norm_act) if pool > 1 else nn.Sequential(conv, *norm_act)
