"""One stage: a ``fit`` that begins where the one before ended."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser

from ..cli.lightning import CLI
from ..errors import InputError
from ..foreign import callbacks_of
from ..loggers import RunFolderLogger, RunLogger, StageOfRun
from ..module import Module
from ..resume.load import load_checkpoint, step_of
from ..resume.restoring import take_matching
from ..runs.folder import STAGES, find_checkpoint
from .plan import Plan, arguments
from .until import KeepFrozen, Until, freeze

log = logging.getLogger(__name__)


@contextlib.contextmanager
def in_stage(name: str) -> Iterator[None]:
    """Name the stage in errors that are raised within."""
    try:
        yield
    except InputError as error:
        where = f"stage {name}"
        raise error if str(error).startswith(where) else InputError(f"{where}: {error}") from error


class StageCLI(CLI):
    """``fit`` of a stage.

    Args:
        plan: The plan of the run.
        number: Number of the stage, from 1.
        more: Options after those of the stage.
        run_folder: Folder of the run.
        **options: See ``CLI``.
    """

    def __init__(
        self, plan: Plan, number: int, more: list[str], run_folder: Path | None = None, **options: Any
    ) -> None:
        self.plan, self.stages, self.more = plan, plan.read(), more
        self.stage = self.stages[number - 1]
        self.before = self.stages[number - 2] if number > 1 else None
        self.until: Until | None = None
        self.said = f"stage {number} of {len(self.stages)}, {self.stage.name}"
        with in_stage(self.stage.name):
            super().__init__(["fit"], run_folder=run_folder, **options)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.is_last = self.stage is self.stages[-1]
        with tempfile.TemporaryDirectory() as folder:
            super().parse_arguments(parser, arguments(self.plan, self.stage, self.more, Path(folder)))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        config, conditions = self.config["fit"].checkpoint, {"metric", "no_improvement", "class_path"}
        if conditions & set(self.stage.until):
            self.until = Until(self.stage.until, (config.monitor, config.mode))
            callbacks_of(trainer).append(self.until)
        if self.stage.trainable:
            callbacks_of(trainer).insert(0, KeepFrozen())
        first_step = self._first_step()
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.first_step = first_step
                logger.stage = StageOfRun(self.stage.number, self.stage.name)
            if isinstance(logger, RunFolderLogger) and self.ckpt_path is None:
                logger.forget_from(first_step)  # it had begun, but saved nothing
        return trainer

    def after_instantiate_classes(self) -> None:
        if self.ckpt_path is None and (before := self._before()) is not None:
            path = find_checkpoint(before, self.stage.begin)
            num_taken, new = take_matching(self.model, path)
            self.said += (
                f": {num_taken} of {len(self.model.state_dict())} tensors from {before.name} ({path.stem})"
            )
            self.said += f", new in {', '.join(new)}" if new else ""
        if self.stage.trainable:
            freeze(self.model, self.stage.trainable)
            self.said += f"; trained: {', '.join(self.stage.trainable)}"
        super().after_instantiate_classes()

    def before_fit(self) -> None:
        """Log which stage begins, now that the run's log is open."""
        log.info(self.said)

    def _before(self) -> Path | None:
        """The folder of the stage before."""
        return self.given_folder / STAGES / self.before.name if self.given_folder and self.before else None

    def _first_step(self) -> int:
        """The number of steps of all stages before."""
        return step_of(load_checkpoint(find_checkpoint(before, "last"))) if (before := self._before()) else 0


class Trial(StageCLI):
    """A stage that trains and validates on one batch, so that its errors appear early."""

    def __init__(self, plan: Plan, number: int, more: list[str], **options: Any) -> None:
        dry = ("fast_dev_run=1", "devices=1", "num_nodes=1", "strategy=auto", "enable_progress_bar=false")
        more = [*more, *(f"--trainer.{option}" for option in dry), "--trainer.enable_model_summary=false"]
        with tempfile.TemporaryDirectory() as folder, _silence():
            super().__init__(plan, number, more, run_folder=Path(folder), **options)

    def _before(self) -> Path | None:
        return None

    def execute(self, subcommand: str) -> None:
        """Train a step, without schedules: their length is that of the whole stage."""
        if isinstance(self.model, Module):
            self.model.lr_scheduler = None
            for part in self.model.parts.values():
                part.lr_scheduler = None
        super().execute(subcommand)
        logged, monitor = self.trainer.callback_metrics, self.config["fit"].checkpoint.monitor
        if self.until:
            self.until.check_keys(logged)
        if monitor not in logged:
            known = ", ".join(key for key in logged if key.startswith("val/"))
            raise InputError(
                f"expected checkpoint.monitor to be a logged number, got {monitor!r}; there are {known}"
            )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress warnings and log messages, which the stage itself will repeat."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
