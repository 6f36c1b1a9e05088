"""Two networks against each other: made-up digits."""

from dataclasses import dataclass

import torch
from my_project.model import BaseModel
from my_project.structs import ImageExample, Loss, Prediction
from torch import Tensor, nn
from torch.nn.functional import softplus


@dataclass(kw_only=True, eq=False)
class Fakes(Prediction):
    """Generated images, ``(B, 1, 8, 8)`` in ``[0, 1]``, and how real the critic finds them, ``(B, 1)``."""

    fake: Tensor
    realness: Tensor

    def error(self, target: Tensor) -> Tensor:
        return -self.realness[:, 0]

    def draw_on(self, pictures: Tensor, example: ImageExample) -> Tensor:
        return (self.fake * 255).byte()


class GAN(BaseModel):
    """A generator and a critic."""

    prediction_class = Fakes

    def __init__(self, *, width: int = 128, **kwargs) -> None:
        super().__init__(**kwargs)
        self.generator = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid())
        self.critic = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
        )

    def forward(self, example: ImageExample) -> Fakes:
        fake = self.generator(torch.randn(len(example), 16, device=self.device)).view(-1, 1, 8, 8)
        return Fakes(fake=fake, realness=self.critic(fake))

    def compute_loss(self, example: ImageExample, prediction: Fakes) -> Loss:
        real, fake = self.critic(example.image / 255), self.critic(prediction.fake.detach())
        fooled = softplus(-prediction.realness).mean()
        return Loss(terms={"generator": fooled, "critic": (softplus(-real) + softplus(fake)).mean()})
