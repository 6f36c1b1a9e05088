"""Which of several digits stand in a picture."""

from pathlib import Path

import torch
from my_project.data import BatchedData
from my_project.structs import DataDescription, ImageExample
from torch import nn


class Tags(BatchedData):
    """Images with a row of labels each, in one file per split."""

    def load(self, split: str) -> ImageExample | None:
        path = Path(self.data_dir, f"{split}.pt")
        return ImageExample(**torch.load(path)) if path.is_file() else None

    def describe(self) -> DataDescription:
        names = tuple(f"digit {label}" for label in range(10))
        return super().describe().updated(DataDescription(class_names=names))


class Net(nn.Sequential):
    """Looks for digits wherever they stand."""

    def __init__(self, width: int = 48) -> None:
        super().__init__(
            *(nn.Conv2d(1, width // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(width // 2, width, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Conv2d(width, width, 3), nn.ReLU()),
            *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width, 1)),
        )
