"""What a user does not need can be deleted: each example by itself, and all of them."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import Shell, copy_project, succeeded

pytestmark = pytest.mark.slow


class Example(NamedTuple):
    """An example that a project begins with.

    Attributes:
        module: Path below the package; its test and its config have the same name.
        words: Words that no printed text may contain once the example is gone.
    """

    module: str
    words: tuple[str, ...]

    def delete(self, project: Path) -> None:
        """Remove all files of the example, as the owner of the project would."""
        room, _, name = self.module.rpartition("/")
        package = project / "my_project"
        (project / "configs" / f"{name}.yaml").unlink(missing_ok=True)
        (project / "tests" / room / f"test_{name}.py").unlink()
        (package / f"{self.module}.py").unlink()
        for path in (package / room).glob(f"{name}.*"):  # the data of the digits
            path.unlink()


EXAMPLES = {
    "network": Example("model/resnet", ("ResNet",)),
    "cifar10": Example("data/cifar10", ("CIFAR10", "cifar10.yaml")),
    "digits": Example("data/digits", ("Digits", "digits.yaml")),
    "fake": Example("data/fake", ("Fake", "fake.yaml")),
    "photos": Example("data/image_folder", ("ImageFolder", "image_folder.yaml")),
    "demo": Example("demo", ("the demo",)),
}
CASES = {**{name: [name] for name in EXAMPLES}, "all": list(EXAMPLES)}
WHOLE_CHECK = ("network", "cifar10", "all")  # half a minute each
# Commands that print texts: help, completion, and errors of all kinds.
SAID = ("--help", "fit --help", "predict --help", "completion bash", "nothing", "fit --config=none.yaml")
# Names that are close to those of the examples.
NAMES = ("fit --model=Resne --data=Digit", "fit --model=BaseModel --data=Imagefolder", "predict nowhere data")
MARK = "\n>>> "
# One process for all command lines.
SAY = f"""\
import contextlib, shlex, sys
from my_project.__main__ import main
sys.stderr = sys.stdout
for line in sys.argv[1:]:
    print({MARK!r} + line, flush=True)
    with contextlib.suppress(SystemExit):
        main(shlex.split(line))
"""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def project(demo: Path, tmp_path: Path, case: str) -> Path:
    """The project of the demo, without the examples of the case."""
    copy = tmp_path / "project"
    copy_project(demo, copy)
    for name in CASES[case]:
        EXAMPLES[name].delete(copy)
    return copy


def texts_of(module: Path) -> Iterator[str]:
    """The texts of a module that can be printed: all strings but docstrings."""
    tree = ast.parse(module.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_the_check_passes_without(project: Path, demo: Path, case: str, shell: Shell) -> None:
    venv = demo / ".venv"
    if case in WHOLE_CHECK:
        told = succeeded(shell(f"make check VENV={venv}", project))
        assert "0 errors, 0 warnings" in told
    else:
        told = succeeded(shell(f"make quality VENV={venv}", project))
        succeeded(shell(f"{venv}/bin/python -m pytest --collect-only -q", project))
        told += succeeded(
            shell(f"{venv}/bin/python -m pytest tests/test_configs.py tests/test_main.py", project)
        )
    assert re.search(r"\d+ passed", told)


def test_nothing_names_what_is_gone(project: Path, demo: Path, case: str, shell: Shell) -> None:
    words = [word for name in CASES[case] for word in EXAMPLES[name].words]
    package = project / "my_project"
    # The demo uses those of its configs that are there, and the table of commands keeps the row of a demo.
    exempt = ("demo.py", "__main__.py")
    own = [path for path in package.rglob("*.py") if "engine" not in path.parts and path.name not in exempt]
    for path in own:
        for text in texts_of(path):
            assert not [word for word in words if word in text], (path, text)

    without_command = ("",) if "demo" in CASES[case] else ()  # which would train it
    lines = (*SAID, *NAMES, *without_command)
    (project / "say.py").write_text(SAY)
    told = shell(f"{demo}/.venv/bin/python say.py {shlex.join(lines)}", project).stdout
    by_line = dict(part.split("\n", 1) for part in told.split(MARK)[1:])
    assert by_line.keys() == {*lines}
    for line, said in by_line.items():
        assert said.strip(), line
        assert not [word for word in words if word in said], said


def test_a_new_project_has_no_config_that_is_not_tested(demo: Path, shell: Shell) -> None:
    told = succeeded(shell(".venv/bin/python -m pytest -rs tests/test_configs.py", demo))

    assert "SKIPPED" not in told
    assert re.search(r"[5-9] passed", told)
