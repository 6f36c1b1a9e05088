"""TrivialAugment and RandAugment: one or two changes for each image, of all kinds, and their sizes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

KINDS = (
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "saturation", "contrast", "sharpness"),  # up to here they have a sign
    *("posterize", "solarize", "autocontrast", "equalize"),
)
NUM_SIGNED, NUM_BINS, ROUNDING = 10, 31, 1e-3


@dataclass(frozen=True)
class Policy:
    """How many changes an image gets, and how large they are at most.

    Attributes:
        num_changes: Changes of each image, 1 or 2.
        bin: Size of all changes, from 0 to 30; ``None`` draws a size for each.
        slope: Largest shear, as the tangent of its angle.
        shift: Largest move in pixels; ``None`` is 45 % of the image.
        turn: Largest angle in degrees.
        factor: Largest distance from 1 of factors of brightness, saturation, contrast and sharpness.
        bits: Most bits that posterizing takes from the 8.
    """

    num_changes: int
    bin: int | None
    slope: float
    shift: float | None
    turn: float
    factor: float
    bits: int


POLICIES = {
    "trivial": Policy(num_changes=1, bin=None, slope=0.99, shift=32, turn=135, factor=0.99, bits=6),
    "rand": Policy(num_changes=2, bin=9, slope=0.3, shift=None, turn=30, factor=0.9, bits=4),
}
NUM_DRAWS = 4  # of each image, two for a change


@dataclass(frozen=True)
class Changes:
    """What images get.

    Attributes:
        is_chosen: ``(14, B)`` bool by ``KINDS``.
        strength: ``(14, B)`` shares of the largest size, in ``[-1, 1]``; 0 where not chosen.
    """

    is_chosen: Tensor
    strength: Tensor

    def of(self, kind: str) -> Tensor:
        """``(B,)`` strengths of a kind."""
        return self.strength[KINDS.index(kind)]


def draw_changes(policy: Policy, draws: Tensor) -> Changes:
    """The changes by ``draws``, ``(4, B)`` in ``[0, 1)``."""
    which, size = draws.view(2, 2, -1)[: policy.num_changes].unbind(dim=1)
    size = size * NUM_BINS
    strength = (torch.full_like(size, policy.bin) if policy.bin is not None else size.floor()) / (
        NUM_BINS - 1
    )
    kind = (which * len(KINDS)).long()
    is_negative = (size.frac() < 0.5) & (kind < NUM_SIGNED)
    is_kind = kind == torch.arange(len(KINDS), device=draws.device)[:, None, None]
    signed = torch.where(is_negative, -strength, strength)
    return Changes(is_kind.any(dim=1), (is_kind * signed).sum(dim=1).clamp(-1, 1))


def moves_of(policy: Policy, changes: Changes, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Angles ``(B,)`` and shears ``(2, B)`` in degrees, and moves ``(2, B)``, shares of width and height."""
    shears = torch.stack([changes.of("shear_x"), changes.of("shear_y")]) * policy.slope
    most = [150 / 331 if policy.shift is None else policy.shift / side for side in (size[1], size[0])]
    moves = torch.stack([changes.of("translate_x") * most[0], changes.of("translate_y") * most[1]])
    return changes.of("rotate") * policy.turn, shears.atan().rad2deg(), moves


def change_pixels(policy: Policy, changes: Changes, image: Tensor) -> Tensor:
    """Sharpen, posterize, solarize, stretch or equalize the images that are chosen for it.

    Args:
        policy: Says how much at most.
        changes: What the images get.
        image: ``(B, C, H, W)`` float of whole numbers in 0 to 255.
    """
    steps: list[tuple[str, Callable[[Tensor, Tensor], Tensor]]] = [
        ("sharpness", lambda some, size: sharpen(some, 1 + size * policy.factor)),
        ("posterize", lambda some, size: posterize(some, 8 - (size * policy.bits).round())),
        ("solarize", lambda some, size: solarize(some, 255 * (1 - size) - ROUNDING)),
        ("autocontrast", lambda some, _: autocontrast(some)),
        ("equalize", lambda some, _: equalize(some)),
    ]
    for kind, change in steps:
        row = KINDS.index(kind)
        image = _change_chosen(image, changes.is_chosen[row], changes.strength[row], change)
    return image


def _change_chosen(
    image: Tensor, is_chosen: Tensor, size: Tensor, change: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Change the chosen images: on a CPU these alone; on other devices, indexing would have to wait."""
    if image.device.type != "cpu":
        return torch.where(is_chosen[:, None, None, None], change(image, size), image)
    rows = is_chosen.nonzero()[:, 0]
    return image.index_copy(0, rows, change(image[rows], size[rows])) if len(rows) else image


def sharpen(image: Tensor, factor: Tensor) -> Tensor:
    """Move away from a blurred image by ``factor``, ``(B,)``: 0 is blurred, 1 unchanged. Borders stay."""
    channels = image.shape[1]
    weights = torch.full((channels, 1, 3, 3), 1 / 13, device=image.device)
    weights[:, :, 1, 1] = 5 / 13
    blurred = image.clone()
    blurred[:, :, 1:-1, 1:-1] = functional.conv2d(image, weights, groups=channels).round()
    return torch.lerp(blurred, image, factor[:, None, None, None]).clamp(0, 255)


def posterize(image: Tensor, bits: Tensor) -> Tensor:
    """Keep the most significant bits of each number, as many as ``bits``, ``(B,)``."""
    step = torch.exp2(8 - bits)[:, None, None, None]
    return (image / step).floor() * step


def solarize(image: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least the ``threshold``, ``(B,)``."""
    return torch.where(image >= threshold[:, None, None, None], 255 - image, image)


def autocontrast(image: Tensor) -> Tensor:
    """Stretch each channel to all of 0 to 255; one of a single value stays."""
    low, high = image.amin(dim=(2, 3), keepdim=True), image.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (image - low) * (255 / (high - low).clamp_min(1)), image)


def equalize(image: Tensor) -> Tensor:
    """Spread the levels of each channel so that all are about as frequent, as Pillow does."""
    levels = image.long().flatten(2)
    counts = image.new_zeros(*image.shape[:2], 256).scatter_add_(2, levels, torch.ones_like(image).flatten(2))
    below = counts.cumsum(dim=2) - counts
    brightest = counts.gather(2, levels.amax(dim=2, keepdim=True))
    step = ((levels.shape[2] - brightest) / 255).floor()
    table = ((below + (step / 2).floor()) / step.clamp_min(1)).floor().clamp(0, 255)
    return torch.where(step > 0, table.gather(2, levels), image.flatten(2)).view_as(image)
