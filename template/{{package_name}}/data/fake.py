"""Made-up images that can be learned: for tests, and to try a model without data."""

from typing import Any

import torch

from ..engine.data import ExampleSet
from ..engine.errors import check_least
from ..structs import ImageExample
from .images import ImageData

SPLITS = ("train", "val", "test")


class Fake(ImageData):
    """Images of their class's pattern under noise.

    Args:
        data_dir: Not used.
        num_classes: Number of classes.
        image_shape: ``(C, H, W)``.
        num_train: Images for training and validation.
        num_test: Images for test.
        noise: Standard deviation of the noise, in units of the pattern's; larger is harder.
        **kwargs: See ``ImageData``.
    """

    def __init__(
        self,
        data_dir: str = "",
        num_classes: int = 4,
        image_shape: tuple[int, int, int] = (3, 16, 16),
        num_train: int = 512,
        num_test: int = 128,
        noise: float = 1.0,
        **kwargs: Any,
    ) -> None:
        check_least(1, num_classes=num_classes, num_train=num_train, num_test=num_test)
        super().__init__(data_dir, **kwargs)
        self.class_names = [f"pattern {number}" for number in range(num_classes)]
        self.image_shape = (image_shape[0], image_shape[1], image_shape[2])  # a config gives a list
        self.sizes = {"train": num_train, "test": num_test}
        self.noise = noise

    def load(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        if split not in self.sizes:
            return {}
        patterns = torch.Generator().manual_seed(self.seed)
        noise = torch.Generator().manual_seed(self.seed + 1 + SPLITS.index(split))
        size, classes = self.sizes[split], self.num_classes
        targets = torch.randint(classes, (size,), generator=noise)
        images = torch.randn(classes, *self.image_shape, generator=patterns)[targets]
        images = images + self.noise * torch.randn(images.shape, generator=noise)
        return {split: self.image_set((128 + 40 * images).clamp(0, 255).byte(), targets)}
