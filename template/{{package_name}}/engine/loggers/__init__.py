"""Where the numbers and pictures of a run go."""

from .base import RunLogger
from .media import log_config, log_figure, log_images, log_summary, log_table
from .run_folder import RunFolderLogger
from .sheet import Sheet
from .tensorboard import TensorBoardRunLogger

__all__ = [
    "RunFolderLogger",
    "RunLogger",
    "Sheet",
    "TensorBoardRunLogger",
    "log_config",
    "log_figure",
    "log_images",
    "log_summary",
    "log_table",
]
