"""Cell nuclei under a microscope: small, real, and shipped with the project."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from ..engine.data import ExampleSet, split_rows
from ..engine.masks import UNKNOWN
from .images import ImageData
from .masks import MaskedImage, mask_set

FILE = Path(__file__).with_name("nuclei.npz")
SIDE = 64  # of a tile, in pixels


class Nuclei(ImageData):
    """One micrograph of 125 nuclei, cut into 64 tiles of 64 x 64 pixels in grey.

    Where two nuclei touch, the border pixels are ignored. Source and licence are next to the
    file, in ``nuclei.md``. Needs no download.

    Args:
        data_dir: Not used.
        test_split: Share of the tiles, or their number, that makes the test set.
        **kwargs: See ``ImageData``.
    """

    def __init__(self, data_dir: str = "", test_split: float = 0.25, **kwargs: Any) -> None:
        super().__init__(data_dir, **kwargs)
        self.test_split = test_split
        self.class_names = ["background", "nucleus"]
        self.image_shape = (1, SIDE, SIDE)

    def load(self, split: str) -> dict[str, ExampleSet[MaskedImage]]:
        if split == "val":
            return {}
        with np.load(FILE) as file:
            image, nuclei = torch.from_numpy(file["image"]), torch.from_numpy(file["nuclei"])
        classes = (nuclei > 0).byte().masked_fill(_touch(nuclei), UNKNOWN)
        tiles = mask_set(_cut(image)[:, None], _cut(classes))
        return {split: tiles.subset(split_rows(len(tiles), {"test": self.test_split}, self.seed)[split])}


def _touch(nuclei: Tensor) -> Tensor:
    """Where a pixel of a nucleus touches one of another: ``(H, W)`` bool."""
    numbers = nuclei.float()
    highest = max_pool2d(numbers[None], 3, stride=1, padding=1)[0]
    lowest = -max_pool2d(-numbers.masked_fill(nuclei == 0, 256)[None], 3, stride=1, padding=1)[0]
    return (nuclei > 0) & (highest != lowest)


def _cut(pixels: Tensor) -> Tensor:
    """Tiles ``(N, 64, 64)`` of ``(H, W)``."""
    return pixels.unfold(0, SIDE, SIDE).unfold(1, SIDE, SIDE).reshape(-1, SIDE, SIDE)
