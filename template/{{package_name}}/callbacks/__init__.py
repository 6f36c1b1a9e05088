"""What happens around the steps: checkpoints, and a line per epoch."""

from .checkpoints import AtomicCheckpoints, Checkpoints
from .epoch_summary import EpochSummary

__all__ = ["AtomicCheckpoints", "Checkpoints", "EpochSummary"]
