"""Where the pixels of a random crop come from: one affine map for each image."""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

Range = tuple[float, float]


def between(draw: Tensor, bounds: Range) -> Tensor:
    """Uniform numbers in ``[0, 1)`` spread over ``bounds``."""
    return bounds[0] + draw * (bounds[1] - bounds[0])


def random_boxes(draws: Tensor, aspect: Tensor, scale: Range, ratio: Range) -> Tensor:
    """Boxes of random area, shape and place within pictures.

    One that does not fit keeps its shape and shrinks until it does.

    Args:
        draws: ``(4, B)`` in ``[0, 1)``: area, shape, place from left to right, from top to bottom.
        aspect: ``(B,)`` widths divided by heights of the pictures.
        scale: Least and largest share of a picture's area.
        ratio: Least and largest width divided by height, drawn on a logarithmic scale.

    Returns:
        ``(4, B)``: centre (x, y) and size (width, height) as shares of the picture's width and height.
    """
    area = between(draws[0], scale) * aspect  # the picture has height 1
    shape = between(draws[1], (math.log(ratio[0]), math.log(ratio[1]))).exp()
    size = torch.stack([(area * shape).sqrt() / aspect, (area / shape).sqrt()])
    size = size / size.amax(dim=0).clamp_min(1)
    return torch.cat([size / 2 + draws[2:4] * (1 - size), size])


def scaled(boxes: Tensor, flips: Tensor) -> Tensor:
    """``affine`` without turns, shears and moves, in a third of the operations."""
    _, _, width, height = boxes
    none = torch.zeros_like(width)
    centre_x, centre_y = (2 * boxes[:2] - 1).unbind()
    return torch.stack([width * flips, none, centre_x, none, height, centre_y], dim=1).view(-1, 2, 3)


def affine(boxes: Tensor, flips: Tensor, turns: Tensor, shears: Tensor, moves: Tensor, k: float) -> Tensor:
    """Maps from places in the result to places in the picture, both in ``[-1, 1]``.

    The box becomes the whole result; it is then sheared, turned, moved and mirrored about its centre.

    Args:
        boxes: ``(4, B)``, see ``random_boxes``.
        flips: ``(B,)`` 1, or -1 to mirror left and right.
        turns: ``(B,)`` angles in degrees.
        shears: ``(2, B)`` angles in degrees, of x and of y.
        moves: ``(2, B)`` shares of the result's width and height.
        k: Width of the result divided by its height.

    Returns:
        ``(B, 2, 3)`` float32.
    """
    angle, slopes = turns.deg2rad(), shears.deg2rad().tan()
    cos, sin = angle.cos(), angle.sin()
    # Of the result, in units of its height: turned back, then sheared back.
    a, b = cos + slopes[0] * sin, -sin + slopes[0] * cos
    c, d = sin + slopes[1] * cos, cos - slopes[1] * sin
    x, y, width, height = boxes
    first = torch.stack([width * flips * a, width * flips * b / k], dim=1)
    second = torch.stack([height * c * k, height * d], dim=1)
    linear = torch.stack([first, second], dim=1)
    centre = torch.stack([2 * x - 1, 2 * y - 1], dim=1)
    return torch.cat([linear, (centre - (linear @ (2 * moves.T)[:, :, None])[:, :, 0])[:, :, None]], dim=2)


def resample(
    image: Tensor, maps: Tensor, size: tuple[int, int], *, nearest: bool = False, inside: bool = False
) -> Tensor:
    """Take each pixel of the result from where its map says; what lies outside is reflected.

    Bilinear. Where pixels lie two or more apart, they are taken from an image that was halved before, so
    that fine patterns do not turn into coarse ones.

    Args:
        image: ``(B, C, H, W)`` of any type.
        maps: ``(B, 2, 3)``, see ``affine``.
        size: Height and width of the result.
        nearest: Take the nearest pixel, for what cannot be mixed.
        inside: No map leads out of its image, which saves a fifth of the time.

    Returns:
        ``(B, C, *size)`` float32.
    """
    height, width = image.shape[-2:]
    grid, values = _grid(maps, size), image.float()
    mode, beyond = "nearest" if nearest else "bilinear", "border" if inside else "reflection"
    result = functional.grid_sample(values, grid, mode, beyond, align_corners=False)
    num_levels = 0 if nearest else int(math.log2(max(1, min(height / size[0], width / size[1]))))
    for level in range(1, num_levels + 1):  # a mask, since indexing would wait for the device
        smaller = functional.adaptive_avg_pool2d(values, (height >> level, width >> level))
        sampled = functional.grid_sample(smaller, grid, mode, beyond, align_corners=False)
        is_far = _steps(maps, (height, width), size) >= 2**level
        result = torch.where(is_far[:, None, None, None], sampled, result)
    return result


def _steps(maps: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """``(B,)``: how many pixels of the image lie between two of the result, along its coarser axis."""
    x, y = maps[:, 0, :2] * old[1], maps[:, 1, :2] * old[0]  # a new tensor would wait for the GPU
    along_row, along_column = torch.hypot(x, y).unbind(dim=1)
    return torch.maximum(along_row / new[1], along_column / new[0])


def _grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """``(B, *size, 2)``: ``functional.affine_grid`` in a tenth of the time, with x and y as one number."""
    y, x = (_places(side, maps.device) for side in size)
    columns = torch.view_as_complex((maps[:, None, :, 0] * x).contiguous())
    rows = torch.view_as_complex((maps[:, None, :, 1] * y + maps[:, None, :, 2]).contiguous())
    return torch.view_as_real(columns[:, None] + rows[:, :, None])


@functools.lru_cache(maxsize=16)
def _places(side: int, device: torch.device) -> Tensor:
    """``(side, 1)``: centres of pixels in ``[-1, 1]``."""
    return ((torch.arange(side, device=device) * 2 + 1) / side - 1)[:, None]
