"""Handwritten digits: small, real, and shipped with the project."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..engine.data import ExampleSet, split_rows
from ..structs import ImageExample
from .images import ImageData

FILE = Path(__file__).with_name("digits.npz")
LEVELS = 16  # the original counts set pixels in 4 x 4 blocks


class Digits(ImageData):
    """The 1,797 handwritten digits of the UCI repository, 8 x 8 pixels in grey.

    Source and licence are next to the file, in ``digits.md``. Needs no download.

    Args:
        data_dir: Not used.
        test_split: Share of the images, or their number, that makes the test set.
        **kwargs: See ``ImageData``.
    """

    def __init__(self, data_dir: str = "", test_split: float = 0.2, **kwargs: Any) -> None:
        super().__init__(data_dir, **kwargs)
        self.test_split = test_split
        self.class_names = [str(digit) for digit in range(10)]
        self.image_shape = (1, 8, 8)

    def load(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        if split == "val":
            return {}
        with np.load(FILE) as file:
            pixels, targets = torch.from_numpy(file["images"]), torch.from_numpy(file["targets"])
        images = (pixels.float() * (255 / LEVELS)).round().byte().view(-1, *self.image_shape)
        digits = self.image_set(images, targets.long())
        return {split: digits.subset(split_rows(len(digits), {"test": self.test_split}, self.seed)[split])}
