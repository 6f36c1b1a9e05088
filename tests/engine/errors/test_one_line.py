import errno
import os
import re

import pytest
from my_project.engine.errors import InputError
from my_project.engine.errors.one_line import exit_status, fail
from my_project.engine.errors.tracebacks import KEPT
from pytorch_lightning import Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException


def status_after(error: BaseException) -> int:
    def command() -> int:
        raise error

    return exit_status(command)


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_a_command_that_ends_well_gives_its_own_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert [exit_status(lambda status=status: status) for status in (0, 3)] == [0, 3]
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_is_130_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_after(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def kept(error: Exception) -> Exception:
    error.add_note(f"{KEPT}log.txt")
    return error


MONITOR = "`ModelCheckpoint(monitor='val/nope')` could not find the monitored key in the returned metrics: "


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("expected a run,\n   got none"), "expected a run, got none"),
        (caused_by(ValueError("noise\nof a parser"), InputError("the reason")), "the reason"),
        (MisconfigurationException("You set\n`devices=0`"), "You set `devices=0`"),
        (
            MisconfigurationException(f"{MONITOR}['train/loss', 'val/loss', 'val/ece']."),
            "expected checkpoint.monitor to be a logged number, got 'val/nope'; there are val/loss, val/ece",
        ),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file"),
            "cannot write file: No space left on device; free space and go on with "
            "fit --resume latest: existing checkpoints are intact",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_2(
    capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    assert status_after(error) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EIO, "Input/output error", "disk"), "Input/output error: disk PLACE"),
        (caused_by(ValueError("a list"), FileNotFoundError(2, "No such file", "x")), "No such file: x PLACE"),
        (ModuleNotFoundError("No module named 'mlflow'"), "No module named 'mlflow' PLACE"),
        (UnicodeError("no text"), "UnicodeError: no text PLACE"),
        (kept(KeyError("x")), "KeyError: 'x' PLACE; the traceback is in log.txt"),
    ],
)
def test_files_packages_and_errors_of_a_run_are_one_line_with_its_place(
    capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    assert status_after(error) == 2
    said = re.sub(r"\(test_one_line.py, line \d+\)", "PLACE", capsys.readouterr().err)
    assert said == f"error: {line}\n"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a defect"),
        KeyError("a defect"),
        RuntimeError("a defect"),
        caused_by(RuntimeError("a defect"), InputError("handled before")),
    ],
)
def test_a_defect_keeps_its_traceback(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    with pytest.raises(type(error), match="a defect") as raised:
        status_after(error)

    assert raised.value is error
    assert capsys.readouterr() == ("", "")


def test_what_lightning_refuses_is_recognised_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        Trainer(fast_dev_run=-1, logger=False)
        return 0

    assert exit_status(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: fast_dev_run=-1 is not a valid configuration")


def test_a_message_of_several_lines_becomes_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail("one\n  two\tthree\n") == 2
    assert capsys.readouterr().err == "error: one two three\n"
