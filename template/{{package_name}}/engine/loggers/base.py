"""What the command line asks of the loggers that are made for it."""

from pytorch_lightning.loggers import Logger


class RunLogger(Logger):
    """A logger that knows which run it serves.

    Attributes:
        first_step: Added to each step; for a test of a checkpoint the step at which it was saved.
    """

    first_step: int = 0

    def finish(self, exit_code: int) -> None:
        """Close what is open, at the end of the command; 0 is the exit code of a run that succeeded."""
