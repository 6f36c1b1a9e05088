"""Numbers from the columns of a CSV file."""

import csv
from pathlib import Path

import torch
from my_project.data import BatchedData
from my_project.model import BaseModel
from my_project.structs import DataDescription, RegressionPrediction, VectorExample
from torch import nn


class Table(BatchedData):
    """Rows of numbers; the last column is the target."""

    def load(self, split: str) -> VectorExample | None:
        path = Path(self.data_dir, f"{split}.csv")
        if not path.is_file():
            return None
        cells = list(csv.reader(path.read_text().splitlines()))[1:]
        rows = torch.tensor([[float(cell) for cell in row] for row in cells])
        return VectorExample(features=rows[:, :-1], target=rows[:, -1:])


class MLP(BaseModel):
    """Two layers."""

    prediction_class = RegressionPrediction

    def __init__(self, *, data: DataDescription, width: int = 64, **kwargs) -> None:
        super().__init__(data=data, **kwargs)
        num_features = data.shapes["features"][0]
        self.net = nn.Sequential(nn.Linear(num_features, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, example: VectorExample) -> RegressionPrediction:
        return RegressionPrediction(values=self.net(example.features))
