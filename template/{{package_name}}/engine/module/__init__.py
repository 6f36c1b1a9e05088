"""What stands under the project's ``BaseModel``: steps, numbers, optimizer, exact resume."""

from .base import Module
from .parts import Part

__all__ = ["Module", "Part"]
