"""What happens around the steps: checkpoints, a line per epoch, and pictures."""

from .checkpoints import AtomicCheckpoints, Checkpoints
from .confusion_matrix import ConfusionMatrix
from .epoch_summary import EpochSummary
from .error_vs_entropy import ErrorVsEntropy
from .instrument import Instrument
from .predictions import Predictions
from .preemption import Preemption
from .random_state import RandomState
from .record_run import RecordRun
from .report_page import ReportPage
from .top_k_images import TopKImages

__all__ = [
    "AtomicCheckpoints",
    "Checkpoints",
    "ConfusionMatrix",
    "EpochSummary",
    "ErrorVsEntropy",
    "Instrument",
    "Predictions",
    "Preemption",
    "RandomState",
    "RecordRun",
    "ReportPage",
    "TopKImages",
]
