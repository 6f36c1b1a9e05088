"""SIGTERM and SIGUSR1 ask a run to stop between two batches; from the first line of the command on.

Clusters and spot machines send them some time before they take the machine. Nothing but the standard library
is imported here, since a signal may come while everything else is.
"""

import os
import signal
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
_received: list[int] = []
_listener = 0  # process that listens; workers that are forked from it do not


def listen() -> None:
    """Note the signals from now on, instead of dying of them."""
    global _listener
    _listener = os.getpid()
    for number in SIGNALS:
        signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def is_listening() -> bool:
    """Whether signals are noted."""
    return _listener == os.getpid()


def block() -> None:
    """Keep the signals back until the program that takes this one's place listens."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def stop_listening() -> None:
    """Die of the signals again, and at once of one that was noted."""
    global _listener
    if not is_listening():
        return
    _listener = 0
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    if _received:
        os.kill(os.getpid(), _received.pop())


def is_stop_requested() -> bool:
    """Whether a signal came."""
    return bool(_received)


def clear() -> None:
    """Forget the signals: the run stops."""
    _received.clear()


def _note(number: int, frame: FrameType | None) -> None:
    if not is_listening():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _received.append(number)
