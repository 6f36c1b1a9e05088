"""Pretrained networks: their weights, their layers, and when each layer is trained."""

from .layers import HEAD as HEAD
from .layers import layers_of as layers_of
from .layers import num_frozen as num_frozen
from .layers import scale_layers as scale_layers
from .networks import Interpolation as Interpolation
from .networks import make_backbone as make_backbone
from .networks import resize as resize
