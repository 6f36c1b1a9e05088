"""The base class of datamodules of labelled images."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..engine.augment import Augmentation, Mix, View
from ..engine.contracts import DataDescription
from ..engine.data import BatchedData, ExampleSet, check_classes
from ..engine.errors import InputError
from ..engine.images.cache import stored
from ..engine.images.image_files import Levels, read_batches, uncrop, upright_size
from ..engine.images.statistics import pixel_statistics
from ..structs import ImageExample
from .augment import Augment

STATISTICS_SAMPLE = 10_000  # images; more would not change mean and deviation in the third digit


class ImageData(BatchedData):
    """Labelled images, decoded once to uint8 of one shape, augmented in whole batches on the device.

    A subclass sets ``class_names`` and ``image_shape`` in ``__init__`` (cheaply: no image is decoded
    there) and defines ``load``; downloading and decoding belong in ``prepare_data``.

    Args:
        data_dir: Folder of the data.
        normalize: Scale to zero mean and unit variance of the training images, else to ``[0, 1]``.
        augment: Changes of training images: an ``Augment``, a ``PhotoAugment``, or one of your own.
        mix: Mixup and CutMix of training images.
        **kwargs: See ``BatchedData``.

    Attributes:
        class_names: Name of each class, by index.
        image_shape: ``(C, H, W)``.
        cache: Folder of decoded images, if there is one.
        content: Names what the training images were made of, besides their number.
        levels: What is black and white in images of more than 8 bits, if it is not the range of their type.
        view: How images stored larger become ``image_shape`` when nothing is random.
    """

    class_names: list[str]
    image_shape: tuple[int, int, int]
    cache: Path | None = None
    content = ""
    levels: Levels | None = None
    view: View | None = None

    def __init__(
        self,
        data_dir: str = "data",
        *,
        normalize: bool = True,
        augment: Augment | Augmentation | None = None,
        mix: Mix | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        self.normalize, self.augment, self.mix = normalize, augment, mix

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
        extras: dict[str, Any] = {"levels": self.levels} if self.levels else {}
        extras |= {"view": dict(vars(self.view))} if self.view else {}
        return DataDescription(num_outputs=self.num_classes, class_names=names, shapes=shapes, extras=extras)

    @classmethod
    def read(
        cls, path: Path, data: DataDescription, **options: Any
    ) -> Iterator[tuple[list[str], ImageExample]]:
        """For ``predict``: an image, or a folder, searched with its subfolders."""
        if "image" not in data.shapes:
            raise InputError(
                "expected a model that was trained on images of one shape, got none in its checkpoint"
            )
        shape, view = data.shapes["image"], None
        if "view" in data.extras:
            view = View(**data.extras["view"])
            shape = (shape[0], view.stored, view.stored)
        for names, pixels, aspect in read_batches(
            path, shape, levels=data.extras.get("levels"), squeeze=view is not None, **options
        ):
            example = ImageExample(image=pixels, aspect=aspect if view else None)
            yield names, view(example) if view else example

    @classmethod
    def restore(cls, image: Image.Image, name: str, data: DataDescription) -> Image.Image:
        """For ``predict``: a mask in the size of its photo, upright; through a ``view``, as it is."""
        if "view" in data.extras:
            return image
        return uncrop(image, upright_size(Path(name)), data.extras.get("mask_unseen", 255))

    def image_set(
        self, images: Tensor, targets: Tensor, rows: Tensor | None = None, aspect: Tensor | None = None
    ) -> ExampleSet[ImageExample]:
        """A set for ``load``.

        Args:
            images: ``(N, C, H, W)`` uint8.
            targets: ``(N,)`` int64 class indices, or ``(N, K)`` float rows of labels.
            rows: ``(M,)`` int64, those that belong to the set; ``None`` for all.
            aspect: ``(N,)`` float32 widths divided by heights, of images stored as ``view`` says.

        Raises:
            InputError: There are no images, or a target is not a class.
        """
        if targets.ndim == 1:
            check_classes(targets, self.num_classes)
        return ExampleSet(ImageExample(image=images, target=targets, aspect=aspect), rows)

    def change(self, batch: ImageExample, *, epoch: int) -> ImageExample:
        draw: dict[str, int] = {"seed": self.seed, "epoch": epoch}

        def augmented(some: ImageExample) -> ImageExample:
            if self.augment is not None:
                some = self.augment.sized(self.image_shape[1:])(some, **draw)
            return self.view(some) if self.view else some

        if self.mix is None or not self.mix.is_on(epoch):
            return augmented(batch)
        positions = self.mix.partners(batch, len(self.train_set), **draw)
        others = self.train_set[positions.to(self.train_set.rows.device)].to(batch.image.device)
        return self.mix(augmented(batch), augmented(others), self.num_classes, **draw)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        return self.view(batch) if self.view else batch

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training images, ``(C,)`` float32 of pixels in ``[0, 1]``.

        Of 20,000 images or more, 10,000 to 15,000 evenly spaced ones are used, a few megabytes at a time.
        Kept in ``cache``. 0 and 1 if ``normalize`` is off.
        """
        if not self.normalize:
            return torch.zeros(self.in_channels), torch.ones(self.in_channels)
        train = self.train_set
        positions = range(0, len(train), max(1, len(train) // STATISTICS_SAMPLE))

        def measure() -> list[list[float]]:
            return [value.tolist() for value in pixel_statistics(lambda rows: train[rows].image, positions)]

        key = zlib.crc32(f"{train.fingerprint()} {self.content}".encode())
        height, width = self.image_shape[1:]
        mean, std = stored(self.cache, f"statistics-{height}x{width}-{key:08x}", measure)
        return torch.tensor(mean), torch.tensor(std)
