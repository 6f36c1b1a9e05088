"""Datamodules: images decoded once to uint8, fetched in whole batches, augmented on the device."""

from .augment import Augment
from .base import ImageData
from .cifar10 import CIFAR10
from .dataset import ImageTensors
from .digits import Digits
from .fake import Fake
from .image_folder import ImageFolder

__all__ = ["CIFAR10", "Augment", "Digits", "Fake", "ImageData", "ImageFolder", "ImageTensors"]
