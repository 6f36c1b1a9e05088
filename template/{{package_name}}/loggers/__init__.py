"""Where the numbers and pictures of a run go."""

from .media import log_config, log_figure, log_images, log_summary, log_table
from .run_folder import RunFolderLogger
from .tensorboard import TensorBoardRunLogger
from .wandb_run import WandbRunLogger

__all__ = [
    "RunFolderLogger",
    "TensorBoardRunLogger",
    "WandbRunLogger",
    "log_config",
    "log_figure",
    "log_images",
    "log_summary",
    "log_table",
]
