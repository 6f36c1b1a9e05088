"""torchmetrics on structs: chosen by name, fed in large batches, exact over processes and resumes."""

from .mean import Mean
from .padding import num_unrepeated
from .select import OnPrediction, select_metrics
from .split import SplitMetrics, ValMetrics

__all__ = ["Mean", "OnPrediction", "SplitMetrics", "ValMetrics", "num_unrepeated", "select_metrics"]
