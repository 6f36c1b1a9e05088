"""Datamodules: examples read once, fetched in whole batches, augmented on the device.

A config may use each class of this folder's files by its name alone.
"""

from ..engine.data import BatchedData as BatchedData
from ..engine.data import ExampleSet as ExampleSet
from ..engine.interleave import Interleave as Interleave
from .augment import Augment as Augment
from .images import ImageData as ImageData
