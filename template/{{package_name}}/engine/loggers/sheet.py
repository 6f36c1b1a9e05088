"""Images with captions, as plots draw and loggers take them."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image


class Sheet(NamedTuple):
    """Images in one picture, each with a caption below it.

    Attributes:
        images: The images as they were given.
        captions: One per image, with line breaks between lines.
        picture: The whole sheet.
        boxes: ``(x, y, width, height)`` of each image in ``picture``, without its caption, in pixels.
    """

    images: Sequence[Image.Image]
    captions: Sequence[str]
    picture: Image.Image
    boxes: list[tuple[int, int, int, int]]
