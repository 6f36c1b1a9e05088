"""Metrics of ``(Example, Prediction)``: torchmetrics by name, and what torchmetrics lacks."""

from .calibration import Entropy, ErrorBins, UncertaintyCalibrationError, bin_uncertainty, calibration_error
from .confusion import ConfusionCounts
from .padding import num_unrepeated
from .select import OnPrediction, select_metrics
from .split import SplitMetrics
from .top_k import TopBottomK, gather_objects

__all__ = [
    "ConfusionCounts",
    "Entropy",
    "ErrorBins",
    "OnPrediction",
    "SplitMetrics",
    "TopBottomK",
    "UncertaintyCalibrationError",
    "bin_uncertainty",
    "calibration_error",
    "gather_objects",
    "num_unrepeated",
    "select_metrics",
]
