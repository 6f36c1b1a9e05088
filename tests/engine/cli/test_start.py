import shutil
import subprocess
import sys
from pathlib import Path

import my_project as package
import pytest
from my_project.__main__ import main


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", package.__name__, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("option", "expected"), [("--version", package.__version__), ("--help", "predict latest")]
)
def test_answers_without_importing_anything_heavy(option: str, expected: str) -> None:
    done = run(option)

    assert done.returncode == 0
    assert expected in done.stdout
    assert "torch" not in done.stderr
    assert "numpy" not in done.stderr


def test_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(package.__main__, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(package.__main__, "__file__", "/nowhere/package/__main__.py")  # type: ignore[attr-defined]

    assert main(["fit"]) == 2
    assert capsys.readouterr().err == "error: pytorch-lightning is not installed; run `make init` first\n"


def test_an_environment_without_the_packages_is_tried_once(tmp_path: Path) -> None:
    source, copy = Path(package.__file__).parent, tmp_path / "project" / package.__name__
    copy.mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "preemption.py"):
        shutil.copy(source / name, copy)
    (tmp_path / "project/.venv/bin").mkdir(parents=True)
    empty = tmp_path / "project/.venv/bin/python"  # without the packages of any site
    empty.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    empty.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [str(empty), "-m", package.__name__, "fit"],
        cwd=copy.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: pytorch-lightning is not installed")
    assert done.stderr.count("using ") == 1
