"""What the project's ``BaseModel`` is built on: steps, metrics, optimizers, exact resume."""

from .base import Module
from .parts import Part

__all__ = ["Module", "Part"]
