"""Images with captions, as plots draw them and loggers take them."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image


class Sheet(NamedTuple):
    """Images on one picture, a caption under each.

    Attributes:
        images: The images as they were given.
        captions: One per image; lines are separated by line breaks.
        picture: The whole.
        boxes: ``(x, y, width, height)`` of each bare image, in pixels.
    """

    images: Sequence[Image.Image]
    captions: Sequence[str]
    picture: Image.Image
    boxes: list[tuple[int, int, int, int]]
