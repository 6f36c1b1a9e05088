"""A stranger's first hour: every command of the READMEs, run for real in one environment."""

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
from conftest import (
    ROOT,
    Render,
    Shell,
    bash_blocks,
    block_with,
    copy_project,
    pretend_to_be_installed,
    succeeded,
)

# Commands of the README that a test does not run as they are, each with its reason.
ILLUSTRATIVE = {"make test": "it would run this test again"}

slow = pytest.mark.slow
Break = Callable[[str, str, str, str], subprocess.CompletedProcess[str]]


def last_test_accuracy(project: Path) -> float:
    """Test accuracy in the metrics of the newest run."""
    newest = max(project.glob("runs/*/metrics.csv"), key=lambda path: path.stat().st_mtime)
    with newest.open(newline="") as file:
        values = [row.get("test/accuracy") for row in csv.DictReader(file)]
    (value,) = [value for value in values if value]
    return float(value)


@pytest.fixture
def broken(project: Path, tmp_path: Path, shell: Shell) -> Break:
    """Copies the project, changes or extends one file, and runs a target that should complain."""

    def run(file: str, old: str, new: str, target: str) -> subprocess.CompletedProcess[str]:
        copy = tmp_path / "project"
        copy_project(project, copy)
        path = copy / file
        text = path.read_text() if old else ""  # else a new file
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return shell(f"make {target} VENV={project / '.venv'}", copy)

    return run


@slow
def test_demo_trains_on_a_clean_clone(demo: Path) -> None:
    assert last_test_accuracy(demo) >= 0.95
    assert not (demo / ".git").exists(), "a repository inside a repository"


@slow
def test_demo_leaves_all_pictures_and_a_page_that_shows_them(demo: Path) -> None:
    (run,) = sorted(demo.glob("runs/*/"), key=lambda path: path.stat().st_mtime)[-1:]
    found = {str(path.parent.relative_to(run / "figures")) for path in run.glob("figures/**/*.png")}
    kinds = ("worst", "best", "confusion_matrix", "error_vs_entropy")
    assert found == {f"{split}/{kind}" for split in ("val", "test") for kind in kinds}
    page = run / "report.html"
    assert page.stat().st_size <= 5_000_000
    if not (browser := shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no Chromium to open the page: apt-get install chromium")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=5000"]
    command = [browser, *options, page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    for key in found:
        assert f">{key}<" in shown, key
    assert shown.count("data:image/png;base64,") >= len(found)


@slow
def test_copied_project_trains(project: Path) -> None:
    assert last_test_accuracy(project) >= 0.95


@slow
def test_init_compiles_what_runs_import_and_leaves_a_clean_repository(project: Path, shell: Shell) -> None:
    assert list(project.glob(".venv/lib/*/site-packages/torch/__pycache__/functional.*.pyc"))
    assert succeeded(shell("git log --oneline", project)).count("\n") == 1
    assert succeeded(shell("git ls-files", project)).count("my_project/") > 10


@slow
def test_init_again_is_quick_and_changes_nothing(project: Path, shell: Shell) -> None:
    told = succeeded(shell("make init", project))

    assert "Installing" not in told
    assert succeeded(shell("git log --oneline", project)).count("\n") == 1


@slow
def test_update_and_check_of_the_readme(project: Path, clone: Path, shell: Shell, bare_path: str) -> None:
    path = os.pathsep.join([str(clone / ".venv" / "bin"), bare_path])
    assert succeeded(shell("git status --porcelain", project)) == "", "a run leaves files that git sees"

    succeeded(shell(block_with(clone / "README.md", "make update"), project, PATH=path))

    assert succeeded(shell("git status --porcelain", project)) == "", "make check changed a file"


@slow
def test_every_command_of_the_projects_readme(project: Path, shell: Shell) -> None:
    photos = project / "data" / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    draw = "from PIL import Image; Image.new('RGB', (20, 20), 'red').save('data/photos/red.png')"
    succeeded(shell(f'.venv/bin/python -c "{draw}"', project))
    first, *others = bash_blocks(project / "README.md")
    # A server needs docker and a licence: its commands are tested in test_wandb_targets.py.
    others = [block for block in others if not block.startswith("make wandb-server")]
    assert len(others) >= 3

    succeeded(shell("source .venv/bin/activate\n" + "\n".join(others), project))

    assert "make init" in first, "the first block is what the fixture ran"


@slow
def test_every_command_of_our_readmes_is_run(clone: Path) -> None:
    run_above = ("make demo", "copier copy", "make init\nsource", "make update")
    for block in bash_blocks(clone / "README.md"):
        assert block.strip() in ILLUSTRATIVE or any(words in block for words in run_above), block
    for block in bash_blocks(clone / "CONTRIBUTING.md"):
        for line in block.splitlines():
            succeeded(
                subprocess.run(["make", "-n", line.split()[1]], cwd=clone, capture_output=True, text=True)
            )


@slow
def test_a_pattern_chooses_tests(project: Path, shell: Shell) -> None:
    told = succeeded(shell("make test-calibration", project))

    assert re.search(r"\d+ passed, \d+ deselected", told)


@slow
def test_version_is_told_by_the_console_script(project: Path, shell: Shell) -> None:
    assert succeeded(shell(".venv/bin/my-project --version", project)).strip().endswith("0.1.0")
    assert succeeded(shell("make run ARGS=--version", project)).strip().endswith("0.1.0")


@slow
def test_uv_run_keeps_the_environment(project: Path, clone: Path, shell: Shell) -> None:
    uv = clone / ".venv" / "bin" / "uv"
    line = f"{uv} run python -c 'import torch, sys; print(torch.__version__, sys.prefix)'"

    assert str(project / ".venv") in succeeded(shell(line, project))
    assert not (project / "uv.lock").exists()


@slow
def test_bolts_can_be_installed_beside(project: Path, clone: Path, shell: Shell) -> None:
    uv = clone / ".venv" / "bin" / "uv"
    line = f"{uv} pip install --dry-run --python .venv/bin/python --editable '.[dev,bolts]'"

    told = succeeded(shell(line, project))

    assert "lightning-bolts==0.7.0" in told
    assert not re.search(r"(pytorch-lightning|torch)==", told), "another release was taken for it"


PLOTS, LOSS = "my_project/plots.py", "tests/structs/test_loss.py"
LOSS_TEST = "test_total_is_the_weighted_sum() -> None:\n"
NEW_TEST = "from my_project.gone import thing\n\n\ndef test_thing() -> None:\n    assert thing\n"
NEW_MODULE = '"""New."""\n\nfrom .gone import thing as thing\n'
MISSING = "No module named 'my_project.gone'"
BROKEN = {
    "unused import": (PLOTS, "DPI =", "import os\n\nDPI =", "quality", "F401"),
    "undefined name": (PLOTS, "DPI =", "x = undefined\nDPI =", "quality", "F821"),
    "unformatted": (PLOTS, "DPI =", "x = {  }\nDPI =", "quality", "would be reformatted"),
    "wrong type": ("my_project/__init__.py", '"0.1.0"', '"0.1.0" + 1', "types", "reportOperator"),
    "failing test": (LOSS, "torch.tensor(2.5)", "torch.tensor(2.6)", "test-loss", "1 failed"),
    "warning": (
        LOSS,
        LOSS_TEST,
        f"{LOSS_TEST}    __import__('warnings').warn('x')\n",
        "test-loss",
        "UserWarn",
    ),
    "test of what is gone": ("tests/test_broken.py", "", NEW_TEST, "test ARGS=-kbroken", MISSING),
    "type of what is gone": ("tests/test_broken.py", "", NEW_TEST, "types", "reportMissingImports"),
    "module of what is gone": ("my_project/data/new.py", "", NEW_MODULE, "test ARGS=-kbroken", "data.gone"),
    "import of what is gone": (
        PLOTS,
        "from .engine",
        "from .gone import x as x\nfrom .engine",
        "types",
        "reportMissingImports",
    ),
    "part of the engine that is gone": (
        "my_project/engine/sweep/plan.py",
        "\nfrom ",
        "\nfrom .gone import x as x\nfrom ",
        "types",
        "reportMissingImports",
    ),
}


@slow
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_noticed(broken: Break, case: str) -> None:
    file, old, new, target, words = BROKEN[case]

    result = broken(file, old, new, target)

    assert result.returncode != 0
    assert words in result.stdout, result.stdout[-3000:]


@slow
def test_what_was_not_installed_is_not_missed(project: Path, tmp_path: Path, shell: Shell) -> None:
    """The environment has links to that of the project, without the extras."""
    declined = ("optuna", "pl_bolts")
    environment = tmp_path / "environment"
    succeeded(shell(f"{project}/.venv/bin/python -m venv --without-pip {environment}", tmp_path))
    (packages,) = environment.glob("lib/python*/site-packages")
    for path in next(project.glob(".venv/lib/python*/site-packages")).iterdir():
        if not path.name.startswith(declined):
            (packages / path.name).symlink_to(path)
    (environment / ".ready-dev").touch()
    for tool in ("pyright", "pytest"):
        (environment / "bin" / tool).write_text(f'#!/bin/sh\nexec {environment}/bin/python -m {tool} "$@"\n')
        (environment / "bin" / tool).chmod(0o755)

    told = succeeded(shell(f"make types VENV={environment} EXTRAS=dev", project))
    told += succeeded(shell(f"make test ARGS=--collect-only VENV={environment} EXTRAS=dev", project))

    assert "0 errors" in told
    assert "optuna" not in told


@slow
def test_check_runs_all_three_tools(project: Path, shell: Shell) -> None:
    told = succeeded(shell("make --dry-run check", project))

    assert all(words in told for words in ("ruff check", "ruff format --check", "pyright", "pytest"))
    assert "--fix" not in told


def test_old_python_gets_one_clear_line(render: Render, shell: Shell, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(render(), project)
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo "Python 3.8.10";; *) exit 1;; esac\n')
    old.chmod(0o755)

    ours = tmp_path / "ours"  # a copy: in ROOT it would remake the environment of these tests
    ours.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, ours)

    for folder in (project, ours):
        result = shell(f"make --always-make .venv/bin/python PYTHON={old}", folder)

        assert result.returncode != 0
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("expected")]
        assert "expected Python 3.11 or newer" in line
        assert "Python 3.8.10" in line
        assert not (folder / ".venv").exists()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A project that seems to be installed, to see what `make init` does with git."""
    project = tmp_path / "place" / "project"
    copier.run_copy(str(ROOT), project, defaults=True, vcs_ref="HEAD", quiet=True)
    pretend_to_be_installed(project)
    return project


def test_init_makes_the_first_commit(installed: Path, shell: Shell) -> None:
    told = succeeded(shell("make init", installed))

    assert "first commit" in told
    assert succeeded(shell("git status --porcelain", installed)) == ""
    assert succeeded(shell("git log --format=%s", installed)) == "Start from the template\n"


def test_init_leaves_the_commit_to_whom_git_does_not_know(installed: Path, shell: Shell) -> None:
    nobody = dict.fromkeys(
        ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), ""
    )

    told = succeeded(shell(f"env {' '.join('-u ' + name for name in nobody)} make init", installed))

    assert "the first commit is yours" in told
    assert "tell me who you are" not in told
    assert (installed / ".git").is_dir()


def test_init_makes_no_repository_inside_another(installed: Path, shell: Shell) -> None:
    succeeded(shell("git init -q", installed.parent))

    succeeded(shell("make init", installed))

    assert not (installed / ".git").exists()


def test_help_lists_every_target(render: Render, shell: Shell) -> None:
    told = succeeded(shell("make", render()))

    for target in (
        "init",
        "run",
        "check",
        "style",
        "quality",
        "types",
        "test",
        "test-<pattern>",
        "clean",
    ):
        assert re.search(rf"make {re.escape(target)} +\w", told), target
