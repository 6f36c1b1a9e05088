"""Image files: find them, read them, all of one shape."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import InputError

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
NUM_THREADS = 8  # decoding large images leaves Python's lock; more threads wait for the disk


def find_images(folder: Path) -> list[Path]:
    """The image files below ``folder`` by their suffix, sorted; hidden ones are left out."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in files if not path.name.startswith(".") and path.is_file())


def read_image(path: Path, shape: tuple[int, ...]) -> Tensor:
    """One file as ``(C, H, W)`` uint8: scaled to cover ``shape`` and cropped at the centre.

    Args:
        path: Any format that Pillow reads; turned upright by its EXIF orientation.
        shape: ``(C, H, W)`` with 1 channel (grey) or 3 (RGB).

    Raises:
        InputError: The file is corrupt or no image.
    """
    channels, height, width = shape
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), "the file")
        raise InputError(f"expected an image, got {path}: {reason}; repair or remove the file") from error
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).view(height, width, channels).permute(2, 0, 1)


def read_images(paths: Sequence[Path], into: Tensor) -> None:
    """Read ``paths`` into ``into``, ``(N, C, H, W)`` uint8.

    Raises:
        InputError: Files are corrupt; all were tried, the first ones and their number are named.
    """
    bad: list[str] = []

    def read(row: int) -> None:
        try:
            into[row] = read_image(paths[row], tuple(into.shape[1:]))
        except InputError as error:
            bad.append(str(error))

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        list(pool.map(read, range(len(paths))))
    if bad:
        more = f" (and {len(bad) - 1} more of {len(paths)} files)" if len(bad) > 1 else ""
        raise InputError(f"{min(bad)}{more}")
