"""Mixup and CutMix: each image is mixed with another, and so are their targets."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..contracts import Example
from ..errors import InputError
from .pixels import covered
from .random import uniform_of

NUM_TRIES = 16  # to draw a share; all are rejected with a probability below 0.002 %
NUM_DRAWS = 5 + 2 * NUM_TRIES
OTHER_STREAM = 0x5EED  # keeps mixing independent of cropping


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Mixes training images with others.

    The other one is any training image, drawn from the seed, the epoch and the image's own position, and
    augmented as it is in this epoch; the rest of the batch has no influence.

    Attributes:
        mixup: ``alpha`` of Mixup: shares are drawn from ``Beta(alpha, alpha)``; 0 for no Mixup.
        cutmix: ``alpha`` of CutMix, for the share of the area that is left. With both, each gets half.
        prob: Probability that an image is mixed.
        epochs: First and last epoch with mixing, counted from 1; ``null`` for no last one.

    Raises:
        InputError: A number lies outside of its range.

    References:
        Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; Yun et al., "CutMix:
        Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV 2019.
    """

    mixup: float = 0.0
    cutmix: float = 0.0
    prob: float = 1.0
    epochs: tuple[int, int | None] = (1, None)

    def __post_init__(self) -> None:
        if min(self.mixup, self.cutmix) < 0 or max(self.mixup, self.cutmix) > 1 or not 0 <= self.prob <= 1:
            raise InputError(
                f"expected mixup, cutmix and prob in [0, 1], got {self.mixup}, {self.cutmix} and {self.prob}"
            )

    def is_on(self, epoch: int) -> bool:
        """Whether images are mixed in an epoch, counted from 0."""
        first, last = self.epochs
        return max(self.mixup, self.cutmix) > 0 and first <= epoch + 1 and (last is None or epoch < last)

    def partners(self, example: Example, size: int, *, seed: int, epoch: int) -> Tensor:
        """``(B,)`` int64 positions in the training set of ``size``, one for each image."""
        return (self._draws(example, seed, epoch)[0].double() * size).long()

    def __call__(self, example: Any, other: Any, num_classes: int, *, seed: int, epoch: int) -> Any:
        """The mixed batch: ``soft_target`` has both, ``target`` the one of the larger share.

        Args:
            example: Images ``(B, C, H, W)``, targets ``(B,)`` class indices or ``(B, K)`` labels.
            other: The partners of the images, and their targets.
            num_classes: ``K``.
            seed: See ``uniform``.
            epoch: See ``uniform``.
        """
        if example.spatial:
            raise InputError(f"expected images with one target each to mix, got {type(example).__name__}")
        _, is_mixed, is_cut, x, y, *tries = self._draws(example, seed, epoch)
        is_cut = (
            (is_cut < 0.5)
            if self.mixup and self.cutmix
            else torch.full_like(x, self.cutmix, dtype=torch.bool)
        )
        alpha = torch.where(is_cut, self.cutmix or 1.0, self.mixup or 1.0)
        share = _beta(torch.stack(tries), alpha).masked_fill(is_mixed >= self.prob, 1.0)
        height, width = example.image.shape[-2:]
        side = (1 - share).sqrt()
        hidden = covered(y, side, height)[:, :, None] & covered(x, side, width)[:, None]
        weight = torch.where(is_cut[:, None, None], (~hidden).float(), share[:, None, None])
        share, weight = weight.mean(dim=(1, 2)), weight[:, None]
        mixed = weight * example.image + (1 - weight) * other.image
        image = (mixed + 0.5).byte() if example.image.dtype == torch.uint8 else mixed.to(example.image.dtype)
        own, others = (_soft(one.target, num_classes) for one in (example, other))
        soft = share[:, None] * own + (1 - share[:, None]) * others
        is_own = (share >= 0.5).view(-1, *[1] * (example.target.ndim - 1))
        target = torch.where(is_own, example.target, other.target)
        return replace(example, image=image, target=target, soft_target=soft)

    def _draws(self, example: Example, seed: int, epoch: int) -> Tensor:
        return uniform_of(example, NUM_DRAWS, seed=seed ^ OTHER_STREAM, epoch=epoch)


def _soft(target: Tensor, num_classes: int) -> Tensor:
    """``(B, K)`` float32."""
    return functional.one_hot(target, num_classes).float() if target.ndim == 1 else target.float()


def _beta(draws: Tensor, alpha: Tensor) -> Tensor:
    """``(B,)`` of ``Beta(alpha, alpha)``, ``alpha`` ``(B,)`` in ``(0, 1]``.

    The first of several tries that is accepted, without a loop; 0.5 if none is.

    References:
        Jöhnk, "Erzeugung von betaverteilten und gammaverteilten Zufallszahlen", Metrika 8, 1964.
    """
    first, second = (part.clamp_min(1e-7).log() / alpha for part in draws.chunk(2))
    is_accepted = torch.logaddexp(first, second) <= 0
    chosen = is_accepted.byte().argmax(dim=0, keepdim=True)
    share = torch.sigmoid((first - second).gather(0, chosen)[0])
    return share.where(is_accepted.any(dim=0), 0.5)
