"""Models: the base class, and the example network.

A config may use the classes imported here by name alone. If you delete a file, delete its line, too.
"""

from ..engine.resume.load import load_checkpoint as load_checkpoint
from ..engine.resume.load import load_model as load_model
from .base import BaseModel as BaseModel
from .network import Network as Network
from .resnet import ResNet as ResNet
