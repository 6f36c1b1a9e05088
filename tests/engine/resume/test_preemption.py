import os
import signal
import subprocess
import sys

import pytest
from my_project.engine.resume import signals


@pytest.fixture(autouse=True)
def _restored() -> object:
    """Leave no handler behind."""
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    yield
    signals.clear()
    signals.stop_listening()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_is_noted_until_it_is_answered(number: int) -> None:
    signals.listen()
    assert not signals.is_stop_requested()

    os.kill(os.getpid(), number)

    assert signals.is_stop_requested()
    signals.clear()
    assert not signals.is_stop_requested()


def test_nothing_is_noted_before_and_after() -> None:
    signals.stop_listening()
    assert not signals.is_listening()

    signals.listen()
    assert signals.is_listening()
    signals.stop_listening()

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


FORK = """
child = os.fork()
if child:
    status = os.waitpid(child, 0)[1]
    p.stop_listening()
    sys.exit(status)
os.kill(os.getpid(), 15)
"""
HELD = (
    "p.block(); os.kill(os.getpid(), 10); p.listen(); print(p.is_stop_requested()); "
    "p.clear(); p.stop_listening()"
)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("p.listen(); os.kill(os.getpid(), 15); p.clear(); p.stop_listening()", 0),
        ("p.listen(); os.kill(os.getpid(), 15); p.stop_listening()", -15),
        (f"p.listen()\n{FORK}", 15),
        (HELD, 0),
    ],
    ids=["answered", "not answered", "forked worker", "held back"],
)
def test_a_process_ends_as_it_should(code: str, status: int) -> None:
    command = [sys.executable, "-c", f"import os, sys; import {signals.__name__} as p; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)

    assert done.returncode == status, done.stderr
    assert done.stdout == ("True\n" if code == HELD else "")
