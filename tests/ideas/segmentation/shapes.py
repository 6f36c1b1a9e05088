"""Which pixels show a square, a cross or neither."""

from dataclasses import dataclass
from pathlib import Path

import torch
from my_project.data import Augment, BatchedData
from my_project.model import BaseModel
from my_project.structs import DataDescription, ImageExample, MulticlassPrediction
from torch import nn


@dataclass(kw_only=True, eq=False)
class MaskedImage(ImageExample):
    """An image whose target is a mask, ``(B, H, W)`` int64."""

    spatial = ("target",)


class Shapes(BatchedData):
    """Images and masks, in one file per split."""

    augment = Augment(padding=2, flip=True)

    def load(self, split: str) -> MaskedImage | None:
        path = Path(self.data_dir, f"{split}.pt")
        return MaskedImage(**torch.load(path)) if path.is_file() else None

    def change(self, batch: MaskedImage, *, epoch: int) -> MaskedImage:
        return self.augment(batch, seed=self.seed, epoch=epoch)


class UNet(BaseModel):
    """One level down and up again."""

    def __init__(self, *, data: DataDescription, width: int = 16, **kwargs) -> None:
        super().__init__(data=data, **kwargs)
        self.down = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.up = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2))
        self.head = nn.Conv2d(width + 3, data.num_outputs or 1, 3, padding=1)

    def forward(self, example: MaskedImage) -> MulticlassPrediction:
        image = example.image / 255
        both = torch.cat([self.up(self.down(image)), image], dim=1)
        return MulticlassPrediction(logits=self.head(both))
