"""What torchmetrics lacks, on ``(Example, Prediction)``."""

from .calibration import Entropy, ErrorBins, UncertaintyCalibrationError, bin_uncertainty, calibration_error
from .confusion import ConfusionCounts

__all__ = [
    "ConfusionCounts",
    "Entropy",
    "ErrorBins",
    "UncertaintyCalibrationError",
    "bin_uncertainty",
    "calibration_error",
]
