"""Stands in for ``engine/wandb`` if that was deleted, so that configs that name its logger still train."""

import logging
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from .base import RunLogger

log = logging.getLogger(__name__)


class WandbRunLogger(RunLogger):
    """Logs nothing, and says so in one line. Takes the arguments of the deleted logger."""

    def __init__(
        self,
        save_dir: str = "",
        project: str | None = None,
        entity: str | None = None,
        base_url: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        mode: str = "auto",
    ) -> None:
        super().__init__()
        _say_it_is_off()

    @property
    def name(self) -> str:
        """Empty."""
        return ""

    @property
    def version(self) -> str:
        """Empty."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


@rank_zero_only
def _say_it_is_off() -> None:
    log.info("Weights & Biases: off, because engine/wandb was deleted; remove WandbRunLogger from the config")
