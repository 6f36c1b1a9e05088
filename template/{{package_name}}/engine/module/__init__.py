"""What stands under the project's ``BaseModel``: steps, numbers, optimizer, exact resume."""

from .base import Module
from .param_groups import ScaledLayer
from .parts import Part

__all__ = ["Module", "Part", "ScaledLayer"]
