"""The base of the callbacks that show what a model does on a set of examples."""

from .base import Instrument, title_of
from .throughput import Throughput
from .top_k import TopBottomK

__all__ = ["Instrument", "Throughput", "TopBottomK", "title_of"]
