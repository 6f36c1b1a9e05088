"""The digits through a bottleneck and back."""

from dataclasses import dataclass

import torch
from my_project.model import BaseModel
from my_project.structs import ImageExample, Loss, Prediction
from torch import Tensor, nn


@dataclass(kw_only=True, eq=False)
class Reconstruction(Prediction):
    """Pixels in ``[0, 1]``, ``(B, C, H, W)``."""

    reconstruction: Tensor

    def draw_on(self, pictures: Tensor, example: ImageExample) -> Tensor:
        drawn = (self.reconstruction * 255).byte()
        return torch.cat([pictures, drawn], dim=3)


class Autoencoder(BaseModel):
    """Two layers down to the bottleneck, and two layers back."""

    prediction_class = Reconstruction
    needs_targets = False

    def __init__(self, *, width: int = 64, code: int = 16, **kwargs) -> None:
        super().__init__(**kwargs)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, code))
        self.decoder = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid())

    def forward(self, example: ImageExample) -> Reconstruction:
        pixels = self.decoder(self.encoder(example.image / 255))
        return Reconstruction(reconstruction=pixels.view_as(example.image))

    def compute_loss(self, example: ImageExample, prediction: Reconstruction) -> Loss:
        return Loss(terms={"mse": self.example_loss(example, prediction).mean()})

    def example_loss(self, example: ImageExample, prediction: Reconstruction) -> Tensor:
        return (prediction.reconstruction - example.image / 255).square().flatten(1).mean(dim=1)
