"""Converts pixels of more than 8 bits to bytes."""

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

BITS_PER_SAMPLE = 258  # TIFF tag
LARGEST = {"I": 65535, "F": 1.0}  # Pillow opens some 16-bit images as I; floats are usually in [0, 1]
Levels = tuple[float, float]


def is_deep(image: Image.Image) -> bool:
    """Whether grey levels have more than 8 bits."""
    return image.mode in LARGEST or image.mode.startswith("I;16")


def to_bytes(image: Image.Image, levels: Levels | None) -> tuple[Image.Image, bool]:
    """Grey levels of more than 8 bits as 8 bits, and whether their range had to be guessed.

    Raises:
        ValueError: A level is not finite.
    """
    pixels = np.asarray(image).astype(np.float64)
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not np.isfinite(highest - lowest):
        raise ValueError("some of its levels are not finite")
    black, white = levels or (0.0, LARGEST.get(image.mode, 65535))
    is_guess = levels is None and not (black <= lowest and highest <= white)
    if is_guess:
        black, white = lowest, highest
    shares = ((pixels - black) / max(white - black, 1e-12)).clip(0, 1)
    return Image.fromarray((shares * 255).round().astype(np.uint8)), is_guess


def check_colours(file: ImageFile.ImageFile, levels: Levels | None) -> None:
    """Refuse colours of more than 8 bits, unless Pillow takes their higher byte and that is wanted.

    Raises:
        ValueError: ``levels`` are given, or the colours are stored in planes.
    """
    raw = " ".join(str(tile[3]) for tile in file.tile)  # how Pillow unpacks it
    bits = (16,) if ";16" in raw else (8,)
    if isinstance(file, TiffImagePlugin.TiffImageFile):
        bits = file.tag_v2.get(BITS_PER_SAMPLE, bits)
    if max(bits) <= 8 or is_deep(file):
        return
    if levels:
        raise ValueError("levels are for grey images, and this one has 16-bit colours: save it with 8 bits")
    if ";16" not in raw:  # Pillow would take each byte for a pixel
        raise ValueError("its colours have more than 8 bits and are stored in planes: save it as PNG")
