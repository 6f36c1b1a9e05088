"""The base class of datamodules of labelled images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..engine.contracts import DataDescription
from ..engine.data import BatchedData, ExampleSet, check_classes
from ..engine.errors import InputError
from ..engine.images.image_files import read_batches
from ..structs import ImageExample
from .augment import Augment

STATISTICS_SAMPLE = 10_000  # images; more would not change mean and deviation in the third digit


class ImageData(BatchedData):
    """Labelled images of one shape, decoded once to uint8, augmented in whole batches on the device.

    A subclass sets ``class_names`` and ``image_shape`` in ``__init__`` (cheaply: no image is decoded
    there) and gives ``load``; one that downloads or decodes does so in ``prepare_data``.

    Args:
        data_dir: Folder of the data.
        normalize: Scale to zero mean and unit variance of the training images, else to ``[0, 1]``.
        augment: Changes of training images.
        **kwargs: See ``BatchedData``.

    Attributes:
        class_names: Name of each class, by index.
        image_shape: ``(C, H, W)``.
    """

    class_names: list[str]
    image_shape: tuple[int, int, int]

    def __init__(
        self, data_dir: str = "data", *, normalize: bool = True, augment: Augment | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_dir, **kwargs)
        self.normalize, self.augment = normalize, augment

    @property
    def num_classes(self) -> int:
        """Number of classes ``K``."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """Number of channels ``C``."""
        return self.image_shape[0]

    def describe(self) -> DataDescription:
        names, shapes = tuple(self.class_names), {"image": self.image_shape}
        return DataDescription(num_outputs=self.num_classes, class_names=names, shapes=shapes)

    @classmethod
    def read(
        cls, path: Path, data: DataDescription, **options: Any
    ) -> Iterator[tuple[list[str], ImageExample]]:
        """For ``predict``: an image, or a folder that is searched with its subfolders."""
        if "image" not in data.shapes:
            raise InputError(
                "expected a model that was trained on images of one shape, got none in its checkpoint"
            )
        for names, pixels in read_batches(path, data.shapes["image"], **options):
            yield names, ImageExample(image=pixels)

    def image_set(
        self, images: Tensor, targets: Tensor, rows: Tensor | None = None
    ) -> ExampleSet[ImageExample]:
        """A set for ``load``.

        Args:
            images: ``(N, C, H, W)`` uint8.
            targets: ``(N,)`` int64 class indices.
            rows: ``(M,)`` int64, those that belong to the set; ``None`` for all.

        Raises:
            InputError: There are no images, or a target names no class.
        """
        check_classes(targets, self.num_classes)
        return ExampleSet(ImageExample(image=images, target=targets), rows)

    def change(self, batch: ImageExample, *, epoch: int) -> ImageExample:
        return self.augment(batch, seed=self.seed, epoch=epoch) if self.augment else batch

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training images, ``(C,)`` float32 of pixels in ``[0, 1]``.

        Of 20,000 images or more, 10,000 to 15,000 at equal distances are taken.
        0 and 1 if ``normalize`` is off.
        """
        if not self.normalize:
            return torch.zeros(self.in_channels), torch.ones(self.in_channels)
        train = self.train_set
        positions = range(0, len(train), max(1, len(train) // STATISTICS_SAMPLE))
        pixels = train[positions].image.transpose(0, 1).flatten(1).int()
        counts = torch.stack([torch.bincount(channel, minlength=256) for channel in pixels]).double().cpu()
        levels = torch.arange(256) / 255
        mean = (counts @ levels.double()) / counts.sum(dim=1)
        variance = (counts @ levels.double().square()) / counts.sum(dim=1) - mean.square()
        return mean.float(), variance.clamp_min(1e-6).sqrt().float()
