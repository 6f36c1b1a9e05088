"""What flows between the parts of the project: always batched, always on one device."""

from ..engine.contracts import DataDescription, Example
from .example import ImageExample, TextExample, VectorExample
from .loss import Loss
from .prediction import (
    BinaryPrediction,
    MulticlassPrediction,
    MultilabelPrediction,
    Prediction,
    RegressionPrediction,
)

__all__ = [
    "BinaryPrediction",
    "DataDescription",
    "Example",
    "ImageExample",
    "Loss",
    "MulticlassPrediction",
    "MultilabelPrediction",
    "Prediction",
    "RegressionPrediction",
    "TextExample",
    "VectorExample",
]
