"""Small models, on which the cost of everything around the network shows."""

from typing import Any

from my_project.model import BaseModel
from my_project.model.normalize import Normalize
from my_project.structs import DataDescription, ImageExample, MulticlassPrediction
from torch import Tensor, nn


def make_micro(num_classes: int) -> nn.Sequential:
    """One convolution and one linear layer for ``(B, 3, 16, 16)``."""
    conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 8, num_classes))


def make_dense(num_classes: int) -> nn.Sequential:
    """The network of lightning-hydra-template's example, for ``(B, 1, 28, 28)``."""
    layers: list[nn.Module] = [nn.Flatten()]
    for in_features, out_features in ((784, 64), (64, 128), (128, 64)):
        layers += [nn.Linear(in_features, out_features), nn.BatchNorm1d(out_features), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, num_classes))


def scale(image: Tensor) -> Tensor:
    """Pixels as a user would write it in one line."""
    return (image.float() - 128) / 64


class Micro(BaseModel):
    """:func:`make_micro` in the project."""

    def __init__(self, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(data=DataDescription(num_outputs=num_classes), **kwargs)
        self.net = make_micro(num_classes)

    def forward(self, example: ImageExample) -> MulticlassPrediction:
        return MulticlassPrediction(logits=self.net(scale(example.image)))


class Dense(BaseModel):
    """:func:`make_dense` in the project, with the project's normalisation."""

    def __init__(self, *, num_classes: int, in_channels: int, **kwargs: Any) -> None:
        super().__init__(data=DataDescription(num_outputs=num_classes), **kwargs)
        self.normalize = Normalize(in_channels)
        self.net = make_dense(num_classes)

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        self.normalize.set_statistics(mean, std)

    def forward(self, example: ImageExample) -> MulticlassPrediction:
        return MulticlassPrediction(logits=self.net(self.normalize(example.image)))
