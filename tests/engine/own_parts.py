"""Models and datamodules as users write them, which checkpoints name by this module."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from my_project.data import BatchedData
from my_project.model import BaseModel
from my_project.model.resnet import ResNet
from my_project.structs import (
    BinaryPrediction,
    DataDescription,
    ImageExample,
    Loss,
    MulticlassPrediction,
    MultilabelPrediction,
    Prediction,
    RegressionPrediction,
    VectorExample,
)
from torch import Tensor, nn


def make_features(size: int) -> Tensor:
    """``(size, 3)`` float."""
    return torch.randn(size, 3, generator=torch.Generator().manual_seed(0))


class Rows(BatchedData):
    """Three numbers an example, with any targets; reads files of lines of three numbers."""

    def __init__(self, target: Tensor, names: tuple[str, ...] = ()) -> None:
        super().__init__(batch_size=8, val_split=0.25)
        self.target, self.names = target, names

    def load(self, split: str) -> VectorExample | None:
        if split == "val":
            return None
        return VectorExample(features=make_features(len(self.target)), target=self.target)

    def describe(self) -> DataDescription:
        return super().describe().updated(DataDescription(class_names=self.names))

    @classmethod
    def read(
        cls, path: Path, data: DataDescription, **options: Any
    ) -> Iterator[tuple[list[str], VectorExample]]:
        rows = [[float(cell) for cell in line.split(",")] for line in path.read_text().splitlines()]
        yield [f"line {number}" for number in range(len(rows))], VectorExample(features=torch.tensor(rows))


class Linear(BaseModel):
    """One layer; a subclass says what its outputs mean."""

    def __init__(self, *, num_layers_outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.net = nn.Linear(3, num_layers_outputs)

    def forward(self, example: VectorExample) -> Prediction:
        return self.prediction_class.from_outputs(self.net(example.features))


class Values(Linear):
    prediction_class = RegressionPrediction


class Labels(Linear):
    prediction_class = MultilabelPrediction


class Two(Linear):
    prediction_class = BinaryPrediction


class Staged(Values):
    """In the first epoch the loss is another than in the others."""

    def compute_loss(self, example: VectorExample, prediction: RegressionPrediction) -> Loss:
        name = "first" if self.current_epoch == 0 else "second"
        return Loss(terms={name: prediction.nll(example.target).mean()})


class OneOutput(ResNet):
    """A network made for several classes, with one output."""

    prediction_class = BinaryPrediction

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(num_classes=1, width=4, depths=(0, 1), stem_stride=1, **kwargs)


class Small(BaseModel):
    """A layer on pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(16, 3)

    def forward(self, example: ImageExample) -> MulticlassPrediction:
        return MulticlassPrediction(logits=self.net(example.image.float().flatten(1) / 255))
