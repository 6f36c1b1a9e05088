"""Datamodules: images decoded once to uint8, fetched in whole batches, augmented on the device."""

from .augment import Augment
from .cifar10 import CIFAR10
from .digits import Digits
from .fake import Fake
from .image_folder import ImageFolder
from .images import ImageData

__all__ = ["CIFAR10", "Augment", "Digits", "Fake", "ImageData", "ImageFolder"]
