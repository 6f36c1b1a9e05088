"""A file of a room is enough: a config names its classes, and what is broken in it is said."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import my_project.model
import pytest
from my_project.__main__ import main
from my_project.engine.config.parser import import_rooms
from my_project.engine.errors import InputError


@pytest.fixture
def draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that counts as one of the room ``model``."""
    monkeypatch.setattr(my_project.model, "__path__", [*my_project.model.__path__, str(tmp_path)])
    yield tmp_path / "draft.py"
    sys.modules.pop("my_project.model.draft", None)


CODE = """
import sys, my_project.model
from my_project.engine.config.parser import import_rooms, known_classes
my_project.model.__path__.append(sys.argv[1])
import_rooms()
print(*sorted(cls.__name__ for cls in known_classes()))
"""


def test_a_class_of_a_new_file_is_known_by_its_name_alone(draft: Path) -> None:
    draft.write_text("from .base import BaseModel\n\n\nclass Draft(BaseModel):\n    pass\n")

    command = [sys.executable, "-c", CODE, str(draft.parent)]  # else the class would stay for other tests
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert {"Draft", "ResNet"} <= set(told.split())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(:\n", "SyntaxError: invalid syntax (draft.py, line 1)"),
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name' (draft.py, line 1)"),
        ("values = {}\nvalues['x']\n", "KeyError: 'x' (draft.py, line 2)"),
    ],
)
def test_a_broken_file_is_named_in_one_line(
    draft: Path, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draft.write_text(text)

    assert main(["fit", "--model=BaseModel", "--data=Fake"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: my_project/model/draft.py cannot be imported: {why}; correct or move it"
    with pytest.raises(InputError, match="draft"):
        import_rooms()
