"""What happens around the steps: checkpoints, and a line per epoch."""

from .checkpoints import Checkpoints
from .epoch_summary import EpochSummary

__all__ = ["Checkpoints", "EpochSummary"]
