"""The loggers of a run: its folder, TensorBoard, and what all of them take."""

from .base import RunLogger, StageOfRun, first_step_of, stage_of
from .media import log_config, log_figure, log_images, log_summary, log_table
from .run_folder import RunFolderLogger
from .sheet import Sheet
from .tensorboard import TensorBoardRunLogger

__all__ = [
    "RunFolderLogger",
    "RunLogger",
    "Sheet",
    "StageOfRun",
    "TensorBoardRunLogger",
    "first_step_of",
    "log_config",
    "log_figure",
    "log_images",
    "log_summary",
    "log_table",
    "stage_of",
]
