"""The base of datamodules and what it uses: example sets, splits, samplers, loaders."""

from .base import BatchedData
from .examples import ExampleSet, check_classes
from .split import divide_rows, shares_by_name, split_rows

__all__ = ["BatchedData", "ExampleSet", "check_classes", "divide_rows", "shares_by_name", "split_rows"]
