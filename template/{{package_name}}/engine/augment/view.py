"""How stored photos are seen where nothing is random: in validation, test and ``predict``."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import InputError
from .pieces import in_pieces

GREY = 128


@dataclass(frozen=True, kw_only=True)
class View:
    """Resize and crop the centre, or pad: one antialiased resampling of photos stored as squares.

    Attributes:
        stored: Height and width in pixels of the squares.
        size: Height and width of the result in pixels.
        fit: ``crop`` takes the largest part about the centre in the result's shape; ``pad`` adds grey.
        share: With ``crop``, the share of that part's sides that is taken, such as 0.875 (224 of 256).

    Raises:
        InputError: A number lies outside of its range.
    """

    stored: int
    size: tuple[int, int]
    fit: Literal["crop", "pad"] = "crop"
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.stored < 1 or min(self.size) < 1 or not 0 < self.share <= 1:
            raise InputError(
                f"expected sizes of at least 1 and a share in (0, 1], got {self.stored}, {self.size} and "
                f"{self.share}"
            )

    def __call__(self, example: Any) -> Any:
        """A batch with ``image`` ``(B, C, H, W)`` uint8 and ``aspect`` ``(B,)``, to one of ``size``."""
        if example.aspect is None:
            return example
        images = in_pieces(self._see, example.image, example.aspect, size=self.size)
        return replace(example, image=images, aspect=None)

    def _see(self, image: Tensor, aspect: Tensor) -> Tensor:
        height, width = self.size
        wanted = width / height
        wide = aspect / wanted  # of the photo, in units of the result's shape: > 1 is wider
        one = torch.ones_like(wide)
        if self.fit == "crop":
            spans = torch.stack([torch.minimum(one, 1 / wide), torch.minimum(one, wide)]) * self.share
        else:
            spans = torch.stack([torch.maximum(one, 1 / wide), torch.maximum(one, wide)])
        cols, rows = (
            _weights(span, stored, new)
            for span, stored, new in zip(
                spans, (image.shape[3], image.shape[2]), (width, height), strict=True
            )
        )
        seen = spread(image.float(), rows, cols)
        seen += GREY * (1 - rows.sum(dim=2)[:, None, :, None] * cols.sum(dim=2)[:, None, None])
        return seen.round_().clamp_(0, 255).byte()


def spread(image: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """``(B, C, h, w)``: sums of pixels ``(B, C, H, W)`` by the weights ``(B, h, H)`` and ``(B, w, W)``."""
    narrow = image.flatten(1, 2) @ cols.transpose(1, 2)
    return rows[:, None] @ narrow.unflatten(1, image.shape[1:3])


def _weights(span: Tensor, stored: int, size: int) -> Tensor:
    """``(B, size, stored)``: weights of the pixels of an axis, of a span about its centre.

    A triangle as wide as two pixels of the coarser side, as Pillow's and torch's antialiased bilinear
    filters. Places outside of the picture have no weights.
    """
    step = span * stored / size  # in stored pixels
    places = (torch.arange(size, device=span.device) + 0.5 - size / 2) * step[:, None] + stored / 2
    pixels = torch.arange(stored, device=span.device) + 0.5
    reach = step.clamp_min(1)[:, None, None]
    weights = (1 - (places[:, :, None] - pixels).abs() / reach).clamp_min(0)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp_min(1e-6)
    is_inside = (places >= 0) & (places <= stored)
    return weights * is_inside[:, :, None]
