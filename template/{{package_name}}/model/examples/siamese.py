"""One network for both images of a pair; see ``configs/examples/siamese.yaml``."""

import torch
from torch import Tensor, nn


class Pair(nn.Module):
    """Gives each example another one of its batch, half of the time one of its own class."""

    def forward(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The other images, as ``image``, and whether both are of one class, ``(B,)`` int64."""
        others = torch.arange(len(image), device=image.device).roll(1)
        by_class = target.argsort(stable=True)
        of_class = torch.empty_like(others).scatter_(0, by_class, by_class.roll(1))
        other = torch.where(torch.arange(len(image), device=image.device) % 2 == 0, others, of_class)
        return image[other], (target == target[other]).long()


class Alike(nn.Module):
    """How alike two codes ``(B, size)`` are, ``(B, 1)``: positive if their distance is below 1."""

    def forward(self, code: Tensor, other: Tensor) -> Tensor:
        """The log-odds that both are of one class."""
        return 5 * (1 - nn.functional.pairwise_distance(code, other, keepdim=True))


class Contrast(nn.Module):
    """The contrastive loss: codes of one class should meet, others be at a distance of 2 at least.

    References:
        Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping, 2006.
    """

    def forward(self, code: Tensor, other: Tensor, same: Tensor) -> Tensor:
        """``()`` float."""
        distance = nn.functional.pairwise_distance(code, other)
        return torch.where(same > 0, distance, (2 - distance).relu()).square().mean()
