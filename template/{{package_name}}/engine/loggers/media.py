"""Log a config, pictures, tables and a summary: one function for each, implemented per class of logger.

A logger of any other class ignores pictures, tables and summary; register an implementation for it.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, cast

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger

from .base import RunLogger
from .run_folder import RunFolderLogger
from .sheet import Sheet


@singledispatch
def log_images(logger: Logger, key: str, sheet: Sheet, step: int) -> None:
    """Log images with a caption each.

    Args:
        logger: Takes the images.
        key: Log key, such as ``val/worst``.
        sheet: Images and captions, also as one picture for loggers without captions.
        step: The Trainer's step.
    """


@singledispatch
def log_figure(logger: Logger, key: str, figure: Image.Image, step: int) -> None:
    """Log a picture that needs no caption, such as a rendered plot."""


@singledispatch
def log_table(
    logger: Logger, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int
) -> None:
    """Log a table of numbers and text."""


@singledispatch
def log_config(logger: Logger, config: dict[str, Any]) -> None:
    """Log the resolved config, nested, when a run begins."""
    logger.log_hyperparams(config)


@singledispatch
def log_summary(logger: Logger, config: dict[str, Any], values: dict[str, float]) -> None:
    """Log the final metrics of a run, together with its config.

    Args:
        logger: Takes the summary.
        config: The resolved config, nested.
        values: Final metrics by their keys, and the best one as ``best/<key>``.
    """


@log_images.register
def _(logger: RunFolderLogger, key: str, sheet: Sheet, step: int) -> None:
    pairs = zip(sheet.boxes, sheet.captions, strict=True)
    places = [{"box": box, "caption": caption} for box, caption in pairs]
    logger.save_figure(key, sheet.picture, step, {"images": places})


@log_figure.register
def _(logger: RunFolderLogger, key: str, figure: Image.Image, step: int) -> None:
    logger.save_figure(key, figure, step)


@log_table.register
def _(
    logger: RunFolderLogger, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int
) -> None:
    logger.save_table(key, columns, rows, step)


@log_images.register
def _(logger: TensorBoardLogger, key: str, sheet: Sheet, step: int) -> None:
    log_figure(logger, key, sheet.picture, step)


@log_figure.register
def _(logger: TensorBoardLogger, key: str, figure: Image.Image, step: int) -> None:
    before = logger.first_step if isinstance(logger, RunLogger) else 0
    logger.experiment.add_image(key, np.asarray(figure), step + before, dataformats="HWC")


@log_config.register
def _(logger: TensorBoardLogger, config: dict[str, Any]) -> None:
    """Do nothing yet: the tab "hparams" takes a config only together with the final metrics."""


@log_summary.register
def _(logger: TensorBoardLogger, config: dict[str, Any], values: dict[str, float]) -> None:
    # Under keys of their own: Lightning logs them at step 0, where they would distort the curves.
    final = {key if key.startswith("best/") else f"final/{key}": value for key, value in values.items()}
    logger.log_hyperparams(_flat(config), cast(dict[str, Any], final))
    logger.experiment.flush()


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted keys with numbers and text, which is all that the tab takes."""
    if not isinstance(config, dict):
        return {prefix: config if isinstance(config, bool | int | float | str) else str(config)}
    pairs = [_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in config.items()]
    return {key: value for pair in pairs for key, value in pair.items()}
