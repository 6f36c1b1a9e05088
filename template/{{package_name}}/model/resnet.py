"""The example network: a small residual network for small images."""

from typing import Any

from torch import Tensor, nn

from ..structs import Example, Prediction
from .base import BaseModel


class ResNet(BaseModel):
    """PLACEHOLDER."""

    def __init__(self, *, num_classes: int, in_channels: int = 3, width: int = 64, **kwargs: Any) -> None:
        super().__init__(num_classes=num_classes, in_channels=in_channels, **kwargs)
        self.net = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))

    def forward(self, example: Example) -> Prediction:
        return Prediction(logits=self.net(self.normalize(example.image)))
