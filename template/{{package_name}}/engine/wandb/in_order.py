"""Calls that nobody waits for."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


class InOrder(Thread):
    """A thread that makes calls one after another, so that nobody waits for them."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.put = self._calls.put
        self.start()

    def run(self) -> None:
        for call in iter(self._calls.get, None):
            call()

    def end(self, limit_s: float) -> None:
        """Wait until all calls are made, but not longer than the limit."""
        self._calls.put(None)
        self.join(limit_s)
