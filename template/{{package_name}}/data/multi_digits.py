"""Pictures of several handwritten digits: which ones are in them?"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..engine.data import split_rows
from ..structs import ImageExample
from .images import ImageData

FILE = Path(__file__).with_name("digits.npz")
DIGIT, CELL = 8, 12  # pixels; each digit lies at a random place in a quarter of the picture


class MultiDigits(ImageData):
    """Pictures of 24 x 24 pixels with one to four of the real digits, and a label for each digit.

    The digits are divided first: none appears in pictures of two sets. Source and licence: ``digits.md``.

    Args:
        num_train: Number of pictures for training.
        num_eval: Number of pictures for validation, and for test.
        val_split: Share of the digits, or their number, for validation.
        test_split: The same for the test.
        **kwargs: See ``ImageData``.
    """

    def __init__(
        self,
        num_train: int = 4000,
        num_eval: int = 1000,
        val_split: float = 0.1,
        test_split: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(val_split=val_split, **kwargs)
        self.sizes = {"train": num_train, "val": num_eval, "test": num_eval}
        self.parts = {"val": val_split, "test": test_split}
        self.class_names = [str(digit) for digit in range(10)]
        self.image_shape = (1, 2 * CELL, 2 * CELL)

    def load(self, split: str) -> ImageExample:
        with np.load(FILE) as file:
            digits, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["targets"]).long()
        rows = split_rows(len(digits), self.parts, self.seed)[split]
        size, random = self.sizes[split], torch.Generator().manual_seed(self.seed)
        chosen = rows[torch.randint(len(rows), (size, 4), generator=random)]
        # The first quarter, in a random order, always has its digit.
        order = torch.rand(size, 4, generator=random).argsort(dim=1)
        is_there = order < torch.randint(1, 5, (size, 1), generator=random)
        target = torch.zeros(size, 10).scatter_reduce(1, labels[chosen], is_there.float(), "amax")
        corner = torch.randint(CELL - DIGIT + 1, (2, size, 4, 1, 1), generator=random)
        y, x = corner[0] + torch.arange(DIGIT)[:, None], corner[1] + torch.arange(DIGIT)
        quarters = torch.zeros(size, 4, CELL, CELL, dtype=torch.uint8)
        pixels = (digits[chosen] * is_there[..., None, None] * (255 / 16)).round().byte()
        quarters[torch.arange(size)[:, None, None, None], torch.arange(4)[:, None, None], y, x] = pixels
        image = quarters.view(size, 2, 2, CELL, CELL).transpose(2, 3).reshape(-1, *self.image_shape)
        return ImageExample(image=image, target=target)
