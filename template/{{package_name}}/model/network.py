"""Any network of torch by its import path, fitted to the data."""

from typing import Any, Literal

import torch

from ..engine.module.networks import fit_head, make_network
from ..engine.tasks import TASKS
from ..engine.weights import load_weights
from ..structs import DataDescription, Example, Prediction
from .base import BaseModel


class Network(BaseModel):
    """A network written elsewhere; its last layer is replaced by one that fits the data.

    Args:
        network: Import path of an ``nn.Module``, or of a function annotated to return one, such as
            ``torchvision.models.resnet18``.
        network_args: Its arguments.
        task: What its outputs mean; ``binary`` has one.
        data: What is known of the data; it says how many outputs there are.
        input: Field of the example that the network takes; uint8 is scaled to ``[0, 1]``.
        weights: File with a ``state_dict`` to start from, as ``torch.save`` writes it; not needed again.
        **kwargs: See ``BaseModel``.

    Raises:
        InputError: There is no such network, it refuses its arguments, or has no layer that can be fitted.
    """

    def __init__(
        self,
        *,
        network: str,
        network_args: dict[str, Any] | None = None,
        task: Literal["multiclass", "binary", "multilabel", "regression"] = "multiclass",
        data: DataDescription | None = None,
        input: str = "image",
        weights: str | None = None,
        **kwargs: Any,
    ) -> None:
        vars(self)["prediction_class"] = TASKS[task]
        super().__init__(data=data, **kwargs)
        self.network = make_network(network, network_args or {})
        if weights is not None:
            load_weights(self.network, weights)
        if self.data.num_outputs is not None:
            self.network = fit_head(self.network, 1 if task == "binary" else self.data.num_outputs)
        self.input = input

    def forward(self, example: Example) -> Prediction:
        values = example.tensors[self.input]
        values = values.float() / 255 if values.dtype == torch.uint8 else values
        return self.prediction_class.from_outputs(self.network(values))
