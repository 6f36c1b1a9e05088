"""A network for rows of a table."""

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..engine.tasks import TASKS
from ..structs import DataDescription, Loss, Prediction, VectorExample
from .base import BaseModel

MAX_EMBEDDING = 16


class MLP(BaseModel):
    """Fully connected layers on numbers and embedded categories.

    Numbers are predicted in units of the target, whose mean and deviation in the training set the data
    describes; the loss, and with it a ``criterion``, sees targets in standard deviations.

    Args:
        data: What is known of the data: ``shapes``, ``num_outputs``, and in ``extras`` the numbers of
            categories and the scales of the targets, if there are any.
        task: What its outputs mean.
        width: Units of each hidden layer.
        depth: Hidden layers; 0 is a linear model.
        dropout: Share of the hidden units dropped in each step.
        **kwargs: See ``BaseModel``.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        *,
        data: DataDescription,
        task: Literal["regression", "multiclass"] = "regression",
        width: int = 64,
        depth: int = 2,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        vars(self)["prediction_class"] = TASKS[task]
        super().__init__(data=data, **kwargs)
        embeddings = [
            nn.Embedding(size, min(MAX_EMBEDDING, (size + 1) // 2))
            for size in data.extras.get("category_sizes", [])
        ]
        for embedding in embeddings:
            nn.init.zeros_(embedding.weight.data[0])  # an unknown category contributes nothing
        self.embeddings = nn.ModuleList(embeddings)
        num_inputs = data.shapes["features"][0] + sum(one.embedding_dim for one in embeddings)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(num_inputs, width), nn.ReLU(), nn.Dropout(dropout)]
            num_inputs = width
        self.net = nn.Sequential(*layers, nn.Linear(num_inputs, data.num_outputs or 1))
        self.register_buffer("target_mean", torch.tensor(data.extras.get("target_means", [0.0])))
        self.register_buffer("target_std", torch.tensor(data.extras.get("target_stds", [1.0])))

    def forward(self, example: VectorExample) -> Prediction:
        inputs = [example.features]
        if len(self.embeddings):
            codes = example.tensors["categories"].unbind(dim=1)
            inputs += [embed(code) for embed, code in zip(self.embeddings, codes, strict=True)]
        outputs = self.net(torch.cat(inputs, dim=1))
        if self.prediction_class.task == "regression":
            outputs = outputs * self.target_std + self.target_mean
        return self.prediction_class.from_outputs(outputs)

    def compute_loss(self, example: Any, prediction: Any) -> Loss:
        return super().compute_loss(*self._scaled(example, prediction))

    def example_loss(self, example: Any, prediction: Any) -> Tensor:
        return super().example_loss(*self._scaled(example, prediction))

    def _scaled(self, example: Any, prediction: Any) -> tuple[Any, Any]:
        """Targets and values in standard deviations."""
        if self.prediction_class.task != "regression" or example.target is None:
            return example, prediction
        values = (prediction.values.float() - self.target_mean) / self.target_std
        target = (example.target.float() - self.target_mean) / self.target_std
        return replace(example, target=target), replace(prediction, values=values)
