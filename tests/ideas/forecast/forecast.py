"""Predicts the next four values of a series from the 24 before."""

from pathlib import Path

import torch
from my_project.data import BatchedData
from my_project.model import BaseModel
from my_project.structs import DataDescription, RegressionPrediction, VectorExample
from torch import nn

PAST, NEXT = 24, 4
PARTS = {"train": (0, 0.7), "val": (0.7, 0.85), "test": (0.85, 1)}


class Series(BatchedData):
    """Windows of a series; those for validation and test are later than those for training."""

    def load(self, split: str) -> VectorExample:
        lines = Path(self.data_dir, "series.csv").read_text().splitlines()[1:]
        start, end = (round(share * len(lines)) for share in PARTS[split])
        windows = torch.tensor([float(line) for line in lines[start:end]]).unfold(0, PAST + NEXT, 1)
        return VectorExample(features=windows[:, :PAST], target=windows[:, PAST:])


class Forecaster(BaseModel):
    """Two layers."""

    prediction_class = RegressionPrediction

    def __init__(self, *, data: DataDescription, width: int = 64, **kwargs) -> None:
        super().__init__(data=data, **kwargs)
        self.net = nn.Sequential(nn.Linear(PAST, width), nn.ReLU(), nn.Linear(width, data.num_outputs))

    def forward(self, example: VectorExample) -> RegressionPrediction:
        return RegressionPrediction(values=self.net(example.features))
