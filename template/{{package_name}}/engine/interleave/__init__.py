"""Several data sets at once: they take turns, and each batch names its own."""

from .interleave import SOURCES, Interleave
from .turns import TurnsLoader

__all__ = ["SOURCES", "Interleave", "TurnsLoader"]
