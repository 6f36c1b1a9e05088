"""Warnings about Weights & Biases, each once."""

import logging

SYNC = "make wandb-sync"
log = logging.getLogger(__name__)


class Notices:
    """Warns once about each problem, and once that part of a run will not be on the server.

    Attributes:
        is_cut: Whether something was lost on the way to the server.
    """

    def __init__(self) -> None:
        self.is_cut = False
        self._warned: set[str] = set()

    def lose(self, what: str) -> None:
        """Say, once, that not all of the run will be on the server."""
        if not self.is_cut:
            self.is_cut = True
            log.warning(
                f"Weights & Biases: {what}; training goes on, all numbers are in the run's folder; "
                f"upload the rest later: {SYNC}"
            )

    def warn_once(self, message: str) -> None:
        """Warn of what the user can correct, such as a value that cannot be logged."""
        if message not in self._warned:
            self._warned.add(message)
            log.warning(f"Weights & Biases: {message}")

    def take(self, message: str) -> None:
        """Handle a message that wandb would print."""
        message = message.removeprefix("wandb: ").removeprefix("WARNING ").removeprefix("ERROR ")
        if message.startswith(("Fatal error", "Timed out")):
            self.lose(message.partition(".")[0])
        else:
            self.warn_once(message)


def first_line(error: Exception) -> str:
    """The first line of an error, or the name of its class if it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
