"""Two networks against each other, for images of 8 x 8 pixels; see ``configs/examples/gan.yaml``."""

import torch
from torch import Tensor, nn


class Noise(nn.Module):
    """Normal numbers, as many rows as its input has; the same ones each time in evaluation.

    Args:
        size: Numbers in a row.
    """

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.size = size

    def forward(self, like: Tensor) -> Tensor:
        """``(B, size)`` float."""
        if self.training:
            return torch.randn(len(like), self.size, device=like.device)
        fixed = torch.randn(len(like), self.size, generator=torch.Generator().manual_seed(0))
        return fixed.to(like.device)


class Generator(nn.Sequential):
    """Makes images ``(B, 1, 8, 8)`` in ``[0, 1]`` of noise ``(B, size)``."""

    def __init__(self, size: int = 16, width: int = 128) -> None:
        hidden = [nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        super().__init__(*hidden, nn.Linear(width, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))


class Critic(nn.Sequential):
    """Says how real an image ``(B, 1, 8, 8)`` is, ``(B,)``."""

    def __init__(self, width: int = 128) -> None:
        first = [nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
        second = [nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Dropout(0.3)]
        super().__init__(*first, *second, nn.Linear(width, 1), nn.Flatten(0))


class Real(nn.Module):
    """The loss of an image that should be found real."""

    def forward(self, realness: Tensor) -> Tensor:
        """``()`` float."""
        return nn.functional.softplus(-realness).mean()


class Separate(nn.Module):
    """The loss of a critic: real images should be found real, made ones not."""

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """``()`` float."""
        return nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()
