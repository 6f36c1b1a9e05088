"""Classes of pixels as colours over an image."""

import torch
from torch import Tensor

# Okabe and Ito's palette, which the colour-blind can tell apart; further classes begin anew.
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
    """Mix a colour for each class into images; class 0 is left as it is, and so is what is negative.

    Args:
        pictures: ``(B, C, H, W)`` uint8 grey with 1 or 2 channels, else RGB and what follows.
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
