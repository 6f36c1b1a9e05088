"""Models: the base class, and the example network."""

from .base import BaseModel
from .checkpoint import load_checkpoint, load_model
from .resnet import ResNet

__all__ = ["BaseModel", "ResNet", "load_checkpoint", "load_model"]
