"""Errors that nobody foresaw: one line that says what and where, and a traceback in a file."""

import contextlib
import runpy
from pathlib import Path

import pytest
from my_project.engine.errors.tracebacks import describe_error, keep_traceback, kept_in

OWN = """
import torch

def load():
    return torch.zeros(2, 3) @ torch.zeros(2, 3)

try:
    load()
except RuntimeError as error:
    raise ValueError("what a library makes of it") from error
"""
LISTED = """Does not validate against any of the Union subtypes
Errors:
  - Not a valid subclass of Logger. Got value: a
  - Problem with given class_path 'loggers.MLFlowLogger':
      Requirement 'mlflow>=1.0.0' not met.
  - Expected a <class 'bool'>
"""
OTHER = """Does not validate against any of the Union subtypes
Errors:
  - Not a valid subclass of Logger. Got value: a
  - bad key
"""


def raised_by(source: str) -> Exception:
    Path("own.py").write_text(source)
    with contextlib.suppress(SystemExit):
        try:
            runpy.run_path("own.py")
        except Exception as error:
            return error
    raise AssertionError("nothing was raised")


def test_the_place_is_the_deepest_line_of_the_users_own() -> None:
    said = describe_error(raised_by(OWN))

    assert said.startswith("RuntimeError: ")
    assert "mat1 and mat2 shapes cannot be multiplied" in said
    assert said.endswith(" (own.py, line 5)")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (AssertionError(), "AssertionError"),
        (
            FileNotFoundError(2, "No such file or directory", "data.csv"),
            "No such file or directory: data.csv",
        ),
        (
            FileNotFoundError(2, "No such file or directory", b"caf\xe9"),
            "No such file or directory: caf\udce9",
        ),
        (OSError("no number"), "OSError: no number"),
        (ImportError("cannot import name 'x'"), "cannot import name 'x'"),
        (ValueError(LISTED), "loggers.MLFlowLogger: Requirement 'mlflow>=1.0.0' not met."),
        (ValueError(OTHER), "bad key"),
    ],
)
def test_what_went_wrong_is_said_in_few_words(error: Exception, expected: str) -> None:
    assert describe_error(error) == expected


def test_a_line_that_cannot_be_parsed_is_named_once() -> None:
    assert describe_error(raised_by("class A(:\n")) == "SyntaxError: invalid syntax (own.py, line 1)"


def test_the_traceback_is_appended_without_secrets() -> None:
    path, error = Path("log.txt"), raised_by(OWN)
    path.write_text("what was said\n")

    keep_traceback(error, path, lambda text: text.replace("library", "***"))

    text = path.read_text()
    assert text.startswith("what was said\nTraceback")
    assert "mat1 and mat2 shapes" in text
    assert "what a *** makes of it" in text
    assert kept_in(error) == "the traceback is in log.txt"


def test_a_traceback_that_cannot_be_kept_is_not_said_to_be() -> None:
    error = KeyError("x")

    keep_traceback(error, Path("nowhere/log.txt"), str)

    assert kept_in(error) is None
