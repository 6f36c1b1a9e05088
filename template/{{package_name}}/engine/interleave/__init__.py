"""Several data sets at once: they take turns, and each batch says of which it is."""

from .interleave import SOURCES, Interleave
from .turns import TurnsLoader

__all__ = ["SOURCES", "Interleave", "TurnsLoader"]
