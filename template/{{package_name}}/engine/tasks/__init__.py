"""The tasks that come with the engine, in the words of torchmetrics; each is a ``Prediction``."""

from .binary import BinaryPrediction
from .multiclass import MulticlassPrediction
from .multilabel import MultilabelPrediction
from .regression import RegressionPrediction

TASKS = {
    cls.task: cls
    for cls in (MulticlassPrediction, BinaryPrediction, MultilabelPrediction, RegressionPrediction)
}

__all__ = [
    "TASKS",
    "BinaryPrediction",
    "MulticlassPrediction",
    "MultilabelPrediction",
    "RegressionPrediction",
]
