"""Pictures, tables and the summary of a run, for Weights & Biases."""

from collections.abc import Sequence
from typing import Any

from PIL import Image
from pytorch_lightning.loggers import WandbLogger

from ..loggers import Sheet, log_figure, log_images, log_summary, log_table
from .logger import WandbRunLogger


@log_images.register
def _(logger: WandbLogger, key: str, sheet: Sheet, step: int) -> None:
    logger.log_image(key, list(sheet.images), step=step, caption=list(sheet.captions))


@log_figure.register
def _(logger: WandbLogger, key: str, figure: Image.Image, step: int) -> None:
    logger.log_image(key, [figure], step=step)


@log_table.register
def _(
    logger: WandbLogger, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int
) -> None:
    logger.log_table(key, columns=list(columns), data=[list(row) for row in rows], step=step)


@log_summary.register
def _(logger: WandbRunLogger, config: dict[str, Any], values: dict[str, float]) -> None:
    logger.log_summary(values)
