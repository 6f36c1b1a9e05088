"""SIGTERM and SIGUSR1 ask a run to stop between two batches, from the start of the command on.

Clusters and spot machines send one some time before they take the machine. Only the standard library is
imported here, so that a signal is caught even while everything else is being imported.
"""

import os
import signal
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
_received: list[int] = []
_listener = 0  # id of the process that listens; workers forked from it do not


def listen() -> None:
    """From now on, note the signals instead of being killed by them."""
    global _listener
    _listener = os.getpid()
    for number in SIGNALS:
        signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def is_listening() -> bool:
    """Whether this process notes signals."""
    return _listener == os.getpid()


def block() -> None:
    """Hold back the signals until the program that ``exec`` starts in this process listens."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def stop_listening() -> None:
    """Restore the default, which is to be killed by the signals; at once if one was noted."""
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
    """Forget the noted signals, since the run now stops."""
    _received.clear()


def _note(number: int, frame: FrameType | None) -> None:
    if not is_listening():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _received.append(number)
