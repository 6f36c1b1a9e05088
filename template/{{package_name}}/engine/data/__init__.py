"""The base of datamodules and what it stands on: example sets, splits, samplers, a cache of images."""

from .base import BatchedData
from .examples import ExampleSet, check_classes
from .split import divide_rows, shares_by_name, split_rows

__all__ = ["BatchedData", "ExampleSet", "check_classes", "divide_rows", "shares_by_name", "split_rows"]
