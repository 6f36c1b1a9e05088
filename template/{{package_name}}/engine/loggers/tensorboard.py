"""TensorBoard's files in the run's folder."""

from pytorch_lightning.loggers import TensorBoardLogger


class TensorBoardRunLogger(TensorBoardLogger):
    """Writes to ``<run>/tensorboard``, so that ``tensorboard --logdir runs`` shows each run by its name.

    Args:
        save_dir: The run's folder; the command line fills it in.
    """

    def __init__(self, save_dir: str = "") -> None:
        super().__init__(save_dir, name="tensorboard", version="", default_hp_metric=False)
