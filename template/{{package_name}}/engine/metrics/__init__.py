"""torchmetrics on structs: chosen by name, fed in large batches, exact over processes and resumes."""

from .mean import Mean
from .padding import num_unrepeated
from .select import MetricPlan, OnStructs
from .split import SplitMetrics
from .val import ValMetrics

__all__ = ["Mean", "MetricPlan", "OnStructs", "SplitMetrics", "ValMetrics", "num_unrepeated"]
