"""Stands in for Weights & Biases where ``engine/wandb`` was deleted: configs that name it still train."""

import logging
from typing import Any

from .base import RunLogger

log = logging.getLogger(__name__)


class WandbRunLogger(RunLogger):
    """Logs nothing, and says so once."""

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
        log.info(
            "Weights & Biases: off, this project has no engine/wandb; take WandbRunLogger out of the config"
        )

    @property
    def name(self) -> str:
        """Empty."""
        return ""

    @property
    def version(self) -> str:
        """Empty."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Nothing."""
