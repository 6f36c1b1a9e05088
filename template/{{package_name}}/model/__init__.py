"""Models: the base class, and the example network."""

from ..engine.resume.load import load_checkpoint, load_model
from .base import BaseModel
from .resnet import ResNet

__all__ = ["BaseModel", "ResNet", "load_checkpoint", "load_model"]
