"""Datamodules: images decoded once to uint8, fetched in whole batches, augmented on the device.

A config may use the classes imported here by name alone. If you delete a file, delete its line, too.
"""

from ..engine.data import BatchedData as BatchedData
from ..engine.data import ExampleSet as ExampleSet
from .augment import Augment as Augment
from .cifar10 import CIFAR10 as CIFAR10
from .digits import Digits as Digits
from .fake import Fake as Fake
from .image_folder import ImageFolder as ImageFolder
from .images import ImageData as ImageData
