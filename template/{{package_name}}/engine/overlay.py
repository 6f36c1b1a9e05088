"""Shows the classes of pixels as colours over an image."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Okabe and Ito's palette, which the colour-blind can tell apart; more classes than that repeat it.
PALETTE = torch.tensor(
    [
        (0, 114, 178),
        (230, 159, 0),
        (0, 158, 115),
        (204, 121, 167),
        (86, 180, 233),
        (213, 94, 0),
        (240, 228, 66),
    ]
)


def paint_classes(pictures: Tensor, classes: Tensor) -> Tensor:
    """Mix a colour for each class into images; pixels of class 0 or less stay as they are.

    Args:
        pictures: ``(B, C, H, W)`` uint8; with 1 or 2 channels, the first is grey, else the first 3 are RGB.
        classes: ``(B, H, W)`` int64.

    Returns:
        ``(B, 3, H, W)`` uint8.

    Example:
        >>> paint_classes(torch.zeros(1, 1, 1, 2, dtype=torch.uint8), torch.tensor([[[0, 1]]]))[0, :, 0]
        tensor([[ 0,  0],
                [ 0, 57],
                [ 0, 89]], dtype=torch.uint8)
    """
    pictures = pictures[:, :3] if pictures.shape[1] > 2 else pictures[:, :1].expand(-1, 3, -1, -1)
    colours = PALETTE.to(pictures.device)[(classes - 1).clamp(0) % len(PALETTE)].movedim(-1, 1)
    mixed = (pictures.int() + colours) // 2
    return torch.where((classes > 0)[:, None], mixed, pictures.int()).byte()


def palette_images(
    classes: Tensor, values: Sequence[int], colours: Sequence[Sequence[int]] | None
) -> list[Image.Image]:
    """Masks as images with a palette: pixels are ``values`` and look like ``colours``.

    Args:
        classes: ``(B, H, W)`` int64 in ``[0, K)``.
        values: ``K`` numbers in ``[0, 255]``, one for each class.
        colours: ``K`` times red, green and blue in ``[0, 255]``; ``None`` for black, then ``PALETTE``.

    Returns:
        ``B`` images of Pillow's mode ``P``.
    """
    if colours is None:
        colours = [(0, 0, 0), *(PALETTE[number % len(PALETTE)].tolist() for number in range(len(values) - 1))]
    palette = np.full((256, 3), 255, dtype=np.uint8)
    palette[list(values)] = np.array(colours, dtype=np.uint8)
    images = []
    for pixels in torch.tensor(values, dtype=torch.uint8)[classes.cpu()].numpy():
        images.append(Image.fromarray(pixels))
        images[-1].putpalette(palette.tobytes())
    return images
