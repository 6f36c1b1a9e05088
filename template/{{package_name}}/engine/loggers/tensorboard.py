"""TensorBoard's files in the run's folder."""

from collections.abc import Mapping

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from .base import RunLogger


class TensorBoardRunLogger(TensorBoardLogger, RunLogger):  # pyright: ignore[reportIncompatibleMethodOverride] # Lightning's own
    """Writes to ``<run>/tensorboard``, so that ``tensorboard --logdir runs`` shows each run by its name.

    Args:
        save_dir: The run's folder; the command line fills it in.
    """

    def __init__(self, save_dir: str = "") -> None:
        super().__init__(save_dir, name="tensorboard", version="", default_hp_metric=False)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row at its step in the run, which ``first_step`` shifts."""
        super().log_metrics(metrics, None if step is None else step + self.first_step)
