"""torchmetrics on structs: chosen by name, fed in large batches, exact over processes and resumes."""

from .mean import Mean
from .padding import num_unrepeated
from .select import MetricPlan, OnStructs
from .sets import SetMetrics
from .split import SplitMetrics

__all__ = ["Mean", "MetricPlan", "OnStructs", "SetMetrics", "SplitMetrics", "num_unrepeated"]
