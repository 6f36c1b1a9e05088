"""What lets a classifier learn from images without labels; see ``configs/examples/semi_supervised.yaml``."""

import torch
from torch import Tensor, nn


class Disturb(nn.Module):
    """Hides pixels and adds noise, in training.

    Args:
        hidden: Share of the pixels that become black.
        noise: Standard deviation of what is added, of pixels in ``[0, 1]``.
    """

    def __init__(self, hidden: float = 0.2, noise: float = 0.2) -> None:
        super().__init__()
        self.hidden, self.noise = hidden, noise

    def forward(self, image: Tensor) -> Tensor:
        """As ``image``."""
        if not self.training:
            return image
        seen = (torch.rand_like(image) >= self.hidden) * image
        return seen + self.noise * torch.randn_like(image)


class Agreement(nn.Module):
    """How far a disturbed image is from the class that the image itself is surely of; others do not count.

    Args:
        sure: Probability from which a class is sure.

    References:
        Sohn et al., FixMatch: simplifying semi-supervised learning with consistency and confidence, 2020.
    """

    def __init__(self, sure: float = 0.8) -> None:
        super().__init__()
        self.sure = sure

    def forward(self, disturbed: Tensor, logits: Tensor) -> Tensor:
        """``()`` float, of logits ``(B, K)``."""
        probs, classes = logits.detach().softmax(dim=1).max(dim=1)
        losses = nn.functional.cross_entropy(disturbed, classes, reduction="none")
        return (losses * (probs >= self.sure)).mean()
