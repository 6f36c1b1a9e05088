"""What flows between the parts of the project: always batched, always on one device."""

from .example import Example
from .loss import Loss
from .prediction import BinaryPrediction, Prediction

__all__ = ["BinaryPrediction", "Example", "Loss", "Prediction"]
