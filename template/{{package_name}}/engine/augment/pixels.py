"""Colour, blur and hidden rectangles, with numbers of its own for each image."""

import functools

import torch
from torch import Tensor

from .view import spread

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@functools.cache
def _parts(device: torch.device) -> tuple[Tensor, ...]:
    """Luma ``(3,)``, and three ``(3, 3)``: the first, plus cosine and sine times the others, turns the hue.

    Once per device: a copy in each step would wait for it.
    """
    yiq = torch.tensor(TO_YIQ)
    back = torch.linalg.inv(yiq)
    parts = torch.zeros(3, 3, 3)
    parts[0, 0, 0] = parts[1, 1, 1] = parts[1, 2, 2] = parts[2, 2, 1] = 1
    parts[2, 1, 2] = -1
    return tuple(part.to(device) for part in (torch.tensor(LUMA), *(back @ parts @ yiq)))


def recolour(
    image: Tensor,
    *,
    brightness: Tensor,
    contrast: Tensor,
    saturation: Tensor,
    hue: Tensor | None,
    is_grey: Tensor,
) -> Tensor:
    """Change brightness, contrast, saturation, hue, in this order, as one linear map of each pixel.

    Hue turns the plane of colour of YIQ, which is linear; torchvision goes through HSV.

    Args:
        image: ``(B, C, H, W)`` float; unless ``C`` is 3, only brightness and contrast change.
        brightness: ``(B,)`` factors, 1 for no change.
        contrast: ``(B,)`` factors of the distance from the image's mean luma.
        saturation: ``(B,)`` factors of the distance from grey.
        hue: ``(B,)`` parts of a full turn; ``None`` for no change.
        is_grey: ``(B,)`` bool, which images become grey.
    """
    means = image.mean(dim=(2, 3))
    if image.shape[1] != 3:
        offset = ((1 - contrast) * brightness * means.mean(dim=1))[:, None, None, None]
        return image * (contrast * brightness)[:, None, None, None] + offset
    luma, of_luma, of_cos, of_sin = _parts(image.device)
    share, turned = saturation * ~is_grey, of_cos
    if hue is not None:
        angle = hue * 2 * torch.pi
        turned = angle.cos()[:, None, None] * of_cos + angle.sin()[:, None, None] * of_sin
    colours = of_luma + share[:, None, None] * turned  # what is not luma shrinks and turns
    matrix = (brightness * contrast)[:, None, None] * colours
    offset = (1 - contrast) * brightness * (means @ luma)
    mixed = torch.baddbmm(offset[:, None, None].expand(-1, 3, 1), matrix, image.flatten(2))
    return mixed.view_as(image)


def blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur by a Gaussian; at the borders, by the part of it that lies inside the image.

    Args:
        image: ``(B, C, H, W)`` float.
        sigma: ``(B,)`` in pixels; 0 for no change.
    """
    rows, cols = (_gaussian(side, sigma) for side in image.shape[-2:])
    return spread(image, rows, cols)


def _gaussian(size: int, sigma: Tensor) -> Tensor:
    """``(B, size, size)``: the weights of all pixels of an axis in each blurred pixel."""
    pixels = torch.arange(size, device=sigma.device)
    distance = (pixels[:, None] - pixels).square()
    weights = torch.exp(-distance / (2 * sigma.clamp_min(1e-3).square())[:, None, None])
    return weights / weights.sum(dim=2, keepdim=True)


def erase(image: Tensor, boxes: Tensor, is_erased: Tensor, value: float) -> Tensor:
    """Fill a box of each image that ``is_erased``, ``(B,)`` bool; ``boxes`` as of ``random_boxes``."""
    height, width = image.shape[-2:]
    x, y, wide, high = boxes
    hidden = covered(y, high, height)[:, :, None] & covered(x, wide, width)[:, None]
    return image.masked_fill((hidden & is_erased[:, None, None])[:, None], value)


def covered(centre: Tensor, length: Tensor, size: int) -> Tensor:
    """``(B, size)`` bool: which pixels of an axis a span covers."""
    places = (torch.arange(size, device=centre.device) + 0.5) / size
    return (places - centre[:, None]).abs() * 2 <= length[:, None]
