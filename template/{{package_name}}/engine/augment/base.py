"""The base class of augmentations, and which fields move with an image."""

from abc import ABC
from dataclasses import dataclass
from typing import Any, Self

from ..contracts import Example
from ..errors import InputError


@dataclass(frozen=True)
class Augmentation(ABC):  # noqa: B024 - a config can name subclasses of an ABC only
    """Changes a batch of training images, on its device."""

    def __call__(self, example: Any, *, seed: int, epoch: int) -> Any:
        """The batch, changed by random numbers that depend on ``(seed, epoch, example.index)`` alone."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(example, *, seed, epoch)")

    def sized(self, size: tuple[int, int]) -> Self:
        """The same for images of ``size``, height and width; only one that resamples changes."""
        return self


def spatial_fields(example: Example) -> list[str]:
    """Fields that move with the image.

    Raises:
        InputError: A field lies on the image and does not say so, or says so and has another size.
    """
    size = example.tensors["image"].shape[-2:]
    on_image = [
        name for name, value in example.tensors.items() if value.ndim > 2 and value.shape[-2:] == size
    ]
    if forgotten := [name for name in on_image if name not in (*example.spatial, "image")]:
        raise InputError(
            f"{type(example).__name__}.{forgotten[0]} lies on the image: list it in spatial, so that "
            "augmentation moves it, too"
        )
    spatial = [name for name in example.spatial if name in example.tensors]
    if other := [name for name in spatial if name not in on_image]:
        raise InputError(
            f"{type(example).__name__}.{other[0]} is listed in spatial, but its height and width are not "
            "those of the image"
        )
    return spatial
