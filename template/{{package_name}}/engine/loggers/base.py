"""The base class of the engine's own loggers, and what the command line sets on them."""

from typing import NamedTuple

from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger


class StageOfRun(NamedTuple):
    """A stage of a run that has several: its number, from 1, and its name."""

    number: int
    name: str


class RunLogger(Logger):
    """A logger that knows which run it serves.

    Attributes:
        first_step: Added to each step: in a test, the step at which the checkpoint was saved; in a stage,
            the number of steps in earlier stages.
        stage: The stage, in a run that has several.
    """

    first_step: int = 0
    stage: StageOfRun | None = None

    def finish(self, exit_code: int) -> None:
        """Close what is open at the end of the command; ``exit_code`` is 0 if the run succeeded."""


def first_step_of(trainer: Trainer) -> int:
    """The step at which the stage of a run began; 0 in a run without stages."""
    return next((logger.first_step for logger in trainer.loggers if isinstance(logger, RunLogger)), 0)


def stage_of(trainer: Trainer) -> StageOfRun | None:
    """The stage of a run, if it has several."""
    return next((logger.stage for logger in trainer.loggers if isinstance(logger, RunLogger)), None)
