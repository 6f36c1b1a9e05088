"""Models: the base class, and a network for each file.

A config may use each class of this folder's files by its name alone.
"""

from ..engine.load_run import load_run as load_run
from ..engine.resume.load import load_checkpoint as load_checkpoint
from ..engine.resume.load import load_model as load_model
from .base import BaseModel as BaseModel
from .network import Network as Network
