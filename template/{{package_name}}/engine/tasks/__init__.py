"""The tasks that come with the engine, in the words of torchmetrics; each is a ``Prediction``."""

from .binary import BinaryPrediction
from .heads import Head, join, join_values, read_heads
from .image import ImagePrediction
from .multiclass import MulticlassPrediction
from .multilabel import MultilabelPrediction
from .regression import RegressionPrediction
from .sequence import SequencePrediction

TASKS = {
    cls.task: cls
    for cls in (
        MulticlassPrediction,
        BinaryPrediction,
        MultilabelPrediction,
        RegressionPrediction,
        ImagePrediction,
        SequencePrediction,
    )
}

__all__ = [
    "TASKS",
    "BinaryPrediction",
    "Head",
    "ImagePrediction",
    "MulticlassPrediction",
    "MultilabelPrediction",
    "RegressionPrediction",
    "SequencePrediction",
    "join",
    "join_values",
    "read_heads",
]
