"""The run's page, kept up to date while it trains."""

import logging
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from ..runs.folder import REPORT
from .page import write_report

MAX_SHARE = 0.02  # of the run's time
log = logging.getLogger(__name__)


class ReportPage(Callback):
    """Writes ``report.html``: after an epoch if that costs at most 2 % of the time, and always at the end.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / REPORT
        self._began, self._spent_s, self._last_s, self._has_warned = time.perf_counter(), 0.0, 0.0, False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Not in on_train_epoch_end: Lightning logs an epoch's metrics only after that hook of all callbacks.
        if self._spent_s + self._last_s <= MAX_SHARE * (time.perf_counter() - self._began):
            self.write(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self.write(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Write the page, on the first process only."""
        if not trainer.is_global_zero:
            return
        begin = time.perf_counter()
        try:
            write_report([self.path.parent], self.path)
        except OSError as error:
            if not self._has_warned:
                log.warning(f"{self.path} cannot be written ({error.strerror}); the run goes on without it")
            self._has_warned = True
        self._last_s = time.perf_counter() - begin
        self._spent_s += self._last_s


def write_page(trainer: Trainer) -> None:
    """Write the page of a run that ends, however long that takes."""
    for callback in trainer.callbacks:  # pyright: ignore[reportAttributeAccessIssue] # set, not declared
        if isinstance(callback, ReportPage):
            callback.write(trainer)
