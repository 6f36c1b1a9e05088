"""Metrics of ``(Example, Prediction)``: torchmetrics by name, and what torchmetrics lacks."""

from .calibration import Entropy, UncertaintyCalibrationError, bin_uncertainty, calibration_error
from .select import OnPrediction, select_metrics
from .split import SplitMetrics

__all__ = [
    "Entropy",
    "OnPrediction",
    "SplitMetrics",
    "UncertaintyCalibrationError",
    "bin_uncertainty",
    "calibration_error",
    "select_metrics",
]
