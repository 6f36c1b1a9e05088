"""What stands under the project's ``BaseModel``: steps, numbers, optimizer, exact resume."""

from .base import Module

__all__ = ["Module"]
