"""Images that a network makes."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from ..contracts import Example, Prediction


@dataclass(kw_only=True, eq=False)
class ImagePrediction(Prediction):
    """Images made by a network: generated, restored or reconstructed; shown beside the example's own.

    No image is right or wrong by itself, so the error of each is 0, and pictures show the first examples in
    each epoch; metrics take the images by their field.

    Attributes:
        made: ``(B, C, H, W)`` float, pixels in ``[0, 1]``.

    Raises:
        ValueError: ``made`` does not have four dimensions.
    """

    made: Tensor
    task: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        if self.made.ndim != 4:
            raise ValueError(f"made must be (B, C, H, W), got {tuple(self.made.shape)}; reshape it")
        super().__post_init__()

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        return cls(made=outputs)

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        return {}

    @property
    def preds(self) -> Tensor:
        """``(B, C, H, W)`` float32."""
        return self.made.float()

    def error(self, target: Tensor) -> Tensor:
        """``(B,)`` zeros."""
        return torch.zeros(len(self), device=self.made.device)

    def draw_on(self, pictures: Tensor, example: Example) -> Tensor:
        """The images to the right of the examples' pictures, resized to their height."""
        made = (self.made.float().nan_to_num() * 255).round().clamp(0, 255).to(pictures.device)
        if made.shape[2] != pictures.shape[2]:
            width = max(1, round(made.shape[3] * pictures.shape[2] / made.shape[2]))
            made = functional.interpolate(made, (pictures.shape[2], width), mode="nearest")
        channels = max(made.shape[1], pictures.shape[1])
        return torch.cat([_with_channels(pictures, channels), _with_channels(made.byte(), channels)], dim=3)


def _with_channels(images: Tensor, num: int) -> Tensor:
    """Repeat the first channel of images that do not have ``num`` channels."""
    return images if images.shape[1] == num else images[:, :1].expand(-1, num, -1, -1)
