"""Random changes of whole batches of images, with parameters of its own for each image."""

from .base import Augmentation, spatial_fields
from .mixing import Mix
from .photos import PhotoAugment
from .pieces import in_pieces
from .random import uniform, uniform_of
from .view import View

__all__ = [
    "Augmentation",
    "Mix",
    "PhotoAugment",
    "View",
    "in_pieces",
    "spatial_fields",
    "uniform",
    "uniform_of",
]
