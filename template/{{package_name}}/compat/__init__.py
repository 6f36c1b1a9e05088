"""Older libraries that are still wanted, brought to today's Lightning; each is optional."""

from .bolts import BoltsData, install

__all__ = ["BoltsData", "install"]
