"""What ``forward`` returns: one class per task. Your own goes below; see ``Prediction``."""

from ..engine.contracts import Prediction
from ..engine.tasks import (
    BinaryPrediction,
    MulticlassPrediction,
    MultilabelPrediction,
    RegressionPrediction,
)

__all__ = [
    "BinaryPrediction",
    "MulticlassPrediction",
    "MultilabelPrediction",
    "Prediction",
    "RegressionPrediction",
]
