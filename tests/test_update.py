"""A project follows the template for years: releases, edits, conflicts, options."""

import filecmp
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
from answers import NAMED, OPTIONS
from conftest import ROOT, Shell, copy_files, pretend_to_be_installed, succeeded
from edits import EDITS, next_release
from rendered import files_of

pytestmark = pytest.mark.slow  # an update is four renders and a merge: seconds
Copy = Callable[..., Path]


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    command = ["git", *author, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=work")


def releases() -> list[str]:
    """The tagged releases of this repository, the oldest first."""
    tags = git(ROOT, "tag", "--list", "v*", "--sort=version:refname").split()
    return [tag for tag in tags if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]


RELEASES = releases()
# From each release to the work tree, and from the work tree to a future release.
UPDATES = [
    *(pytest.param(f"v0.0.{number}", "v1.0.0", id=tag) for number, tag in enumerate(RELEASES)),
    pytest.param("v1.0.0", "v1.1.0", id="work tree"),
]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with tags: v0.0.x our releases, v1.0.0 the work tree, v1.1.0 a future one."""
    folder = tmp_path_factory.mktemp("releases") / "template"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    commits = [git(folder, "rev-parse", f"{tag}^{{commit}}") for tag in RELEASES]
    for tag in git(folder, "tag", "--list").split():
        git(folder, "tag", "--delete", tag)
    for number, released in enumerate(commits):
        git(folder, "tag", f"v0.0.{number}", released)
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    copy_files(folder)
    commit(folder)
    git(folder, "tag", "v1.0.0")
    next_release(folder / "template")
    commit(folder)
    git(folder, "tag", "v1.1.0")
    return folder


@pytest.fixture
def copy(template: Path, tmp_path: Path) -> Copy:
    """Makes a project of a release, under git."""
    numbers = itertools.count()

    def make(version: str, source: Path = template, /, **answers: object) -> Path:
        project = tmp_path / f"project-{next(numbers)}"
        copier.run_copy(str(source), project, data=answers, defaults=True, vcs_ref=version, quiet=True)
        git(project, "init", "--quiet")
        commit(project)
        return project

    return make


def update(project: Path, version: str, **answers: object) -> None:
    copier.run_update(
        project, data=answers, defaults=True, overwrite=True, vcs_ref=version, quiet=True, unsafe=False
    )


def assert_same(project: Path, fresh: Path) -> None:
    assert files_of_project(project) == files_of_project(fresh)
    for name in files_of_project(project) - {"CHANGELOG.md"}:  # it is the project's own, never touched
        assert filecmp.cmp(project / name, fresh / name, shallow=False), name


def files_of_project(folder: Path) -> set[str]:
    return {name for name in files_of(folder) if not name.startswith(".git/")}


def assert_no_conflict(project: Path) -> None:
    assert git(project, "diff", "--name-only", "--diff-filter=U") == ""
    for name in files_of_project(project):
        assert not re.search(rb"^(<<<<<<<|>>>>>>>) ", (project / name).read_bytes(), re.MULTILINE), name
        assert not name.endswith(".rej")


@pytest.mark.parametrize(("old", "new"), UPDATES)
def test_an_untouched_project_becomes_a_fresh_copy(copy: Copy, old: str, new: str) -> None:
    project = copy(old)

    update(project, new)

    assert_no_conflict(project)
    assert_same(project, copy(new))


def test_an_untouched_project_with_all_parts_becomes_a_fresh_copy(copy: Copy) -> None:
    project = copy("v1.0.0", **NAMED["all-on"])

    update(project, "v1.1.0")

    assert_same(project, copy("v1.1.0", **NAMED["all-on"]))


@pytest.mark.parametrize(("old", "new"), UPDATES)
def test_own_files_survive(copy: Copy, old: str, new: str) -> None:
    project = copy(old)
    done = []
    for make, holds in (EDITS[name] for name in ("own module", "own lock", "own changelog")):
        make(project)
        done.append(holds)
    commit(project)

    update(project, new)

    for holds in done:
        holds(project)


def test_options_can_be_turned_on_and_off_again(copy: Copy) -> None:
    project, answers = copy("v1.0.0", profile="minimum"), {"profile": "minimum"}
    sets = [*({"options": OPTIONS[first::2]} for first in (0, 1)), {"options": []}]

    # Each is added, is removed while the others are added, or is removed with all that are left.
    for version, options in zip(("v1.0.0", "v1.0.0", "v1.1.0"), sets, strict=True):
        update(project, version, **options)
        assert_same(project, copy(version, **answers, **options))
        commit(project)


def test_ci_can_be_changed(copy: Copy) -> None:
    project = copy("v1.0.0")

    update(project, "v1.1.0", ci="github")

    assert_same(project, copy("v1.1.0", ci="github"))


def test_the_licence_keeps_its_year(copy: Copy) -> None:
    project = copy("v1.0.0", license="MIT")
    for name, old in ((".copier-answers.yml", r"copyright_year: \d+"), ("LICENSE", r"\(c\) \d+")):
        text = (project / name).read_text()
        (project / name).write_text(re.sub(old, lambda found: found[0][:-4] + "1999", text))
    commit(project)

    update(project, "v1.1.0")

    assert "Copyright (c) 1999 My Project authors" in (project / "LICENSE").read_text()
    assert "copyright_year: 1999" in (project / ".copier-answers.yml").read_text()
    assert_no_conflict(project)


@pytest.mark.usefixtures("demo")  # on the worker that has the environments of some GB
def test_edits_survive_an_update_that_ends_with_its_checks(copy: Copy, shell: Shell) -> None:
    project = copy("v1.0.0")
    for edit, _ in EDITS.values():
        edit(project)
    commit(project)

    told = succeeded(shell("make update", project))  # neither uv nor Copier is on PATH
    shutil.rmtree(project / ".venv")

    assert_no_conflict(project)
    for _, holds in EDITS.values():
        holds(project)
    assert re.search(r"\d+ passed", told)
    assert "v1.1.0" in (project / ".copier-answers.yml").read_text()
    assert "More is explained" in (project / "README.md").read_text(), "nothing came from the template"


# ----------------------------------------------------------- the commands of a project, as users type them


@pytest.fixture
def path() -> str:
    """A PATH with our Copier, pre-commit and ruff first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.fixture
def ready(copy: Copy) -> Copy:
    """Makes a project that seems to be installed, so that its Makefile does not."""

    def make(version: str, *source: Path, **answers: object) -> Path:
        project = copy(version, *source, **answers)
        pretend_to_be_installed(project, ruff=Path(sys.executable).parent / "ruff")
        return project

    return make


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    """The one line on standard error besides that of make."""
    assert result.returncode == 2
    (line,) = [line for line in result.stdout.splitlines() if not line.startswith("make")]
    return line


def test_check_update_fails_when_there_is_a_newer_template(ready: Copy, shell: Shell, path: str) -> None:
    old, new = ready("v1.0.0"), ready("v1.1.0")

    behind = shell("make check-update", old, PATH=path)
    current = shell("make check-update", new, PATH=path)

    assert behind.returncode == 2
    assert "The template is at 1.1.0, this project at 1.0.0." in behind.stdout
    assert current.returncode == 0
    assert "follows the newest template, 1.1.0" in current.stdout


@pytest.mark.parametrize("address", ["https://nowhere.invalid/t.git", "/nowhere"])
def test_a_template_that_cannot_be_reached_is_one_line(
    ready: Copy, shell: Shell, path: str, address: str
) -> None:
    project = ready("v1.0.0")
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub(r"_src_path: .*", f"_src_path: {address}", answers.read_text()))
    commit(project)

    for target in ("check-update", "update"):
        line = error_of(shell(f"make {target}", project, PATH=path))

        assert line.startswith(f"error: expected to reach the template at {address}, got: ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("options=[dokcs]", "'dokcs' is not in"),
        ("options=docs", "expected a list without spaces, such as options=[docker,docs]"),
        ("ci=jenkins", "'jenkins' is not in"),
        ("option=[docs]", "expected a question of the template, got 'option'"),
        ("package_name=other", "the package name is permanent"),
    ],
)
def test_a_wrong_answer_is_one_line_and_changes_nothing(
    ready: Copy, shell: Shell, path: str, answer: str, words: str
) -> None:
    project = ready("v1.0.0")

    line = error_of(shell(f"make update ARGS='-d {answer}'", project, PATH=path))

    assert line.startswith("error: ")
    assert words in line
    assert git(project, "status", "--porcelain") == ""


def test_an_update_says_what_it_deletes(ready: Copy, shell: Shell, path: str) -> None:
    project = ready("v1.0.0")

    result = shell("make update ARGS='-d options=[slurm]' MAKE=true", project, PATH=path)

    assert result.returncode == 0, result.stdout
    assert "The template: from v1.0.0 to v1.1.0." in result.stdout
    assert "  deleted: Dockerfile\n" in result.stdout


ENGINE = '"""A part of the engine."""\n\nSTEPS = 1\n'


@pytest.fixture(scope="session")
def moving(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template with an engine; its v2.1.0 moves one file, deletes another, and renews the engine."""
    folder = tmp_path_factory.mktemp("moving") / "template"
    git(template, "clone", "--quiet", "--branch=v1.0.0", str(template), str(folder))
    package = folder / "template" / "{{package_name}}"
    for name in ("engine/loop.py", "engine/state.py", "engine/old.py", "moved.py", "gone.py"):
        (package / name).write_text(ENGINE)
    commit(folder)
    git(folder, "tag", "v2.0.0")
    (package / "moved.py").rename(package / "engine" / "moved.py")
    for name in ("engine/old.py", "gone.py"):
        (package / name).unlink()
    (package / "engine/loop.py").write_text(ENGINE + "LATER = 1\n")
    commit(folder)
    git(folder, "tag", "v2.1.0")
    return folder


def test_edits_in_a_file_that_moved_are_kept_beside(
    ready: Copy, moving: Path, shell: Shell, path: str
) -> None:
    project = ready("v2.0.0", moving)
    mine = ENGINE + "MINE = 1\n"
    (project / "my_project/moved.py").write_text(mine)
    commit(project)

    told = succeeded(shell("make update MAKE=true", project, PATH=path))

    assert "  deleted: my_project/moved.py, which you had changed: see my_project/moved.py.yours\n" in told
    assert "warning" not in told
    assert (project / "my_project/moved.py.yours").read_text() == mine
    assert (project / "my_project/engine/moved.py").read_text() == ENGINE


def test_files_that_nobody_changed_are_deleted_without_a_trace(
    ready: Copy, moving: Path, shell: Shell, path: str
) -> None:
    project = ready("v2.0.0", moving)

    told = succeeded(shell("make update MAKE=true", project, PATH=path))

    assert "  deleted: my_project/gone.py\n" in told
    assert "  deleted: my_project/engine/old.py\n" in told
    assert "warning" not in told
    assert not list(project.rglob("*.yours"))
    assert_no_conflict(project)


def test_edits_in_the_engine_are_warned_about(ready: Copy, moving: Path, shell: Shell, path: str) -> None:
    project = ready("v2.0.0", moving, package_name="plankton", project_name="It's: plankton")
    for name in ("state.py", "old.py", "mine.py"):
        (project / "plankton/engine" / name).write_text(ENGINE + "MINE = 1\n")
    commit(project)

    told = succeeded(shell("make update MAKE=true", project, PATH=path)).splitlines()

    (start,) = [number for number, line in enumerate(told) if line.startswith("warning: ")]
    assert "plankton/engine" in told[start]
    assert told[start + 1 : start + 4] == [
        "  plankton/engine/mine.py",
        "  plankton/engine/old.py",
        "  plankton/engine/state.py",
    ]
    assert (project / "plankton/engine/old.py.yours").read_text() == ENGINE + "MINE = 1\n"
    assert "MINE = 1" in (project / "plankton/engine/state.py").read_text()


def test_edits_in_an_optional_part_that_is_declined_are_kept_beside(
    ready: Copy, shell: Shell, path: str
) -> None:
    project = ready("v1.0.0")
    with (project / "Dockerfile").open("a") as file:
        file.write("# mine\n")
    commit(project)

    told = succeeded(shell("make update ARGS='-d options=[slurm]' MAKE=true", project, PATH=path))

    assert "  deleted: .dockerignore\n" in told
    assert (project / "Dockerfile.yours").read_text().endswith("# mine\n")


def test_outside_of_a_repository_is_one_line(ready: Copy, shell: Shell, path: str) -> None:
    project = ready("v1.0.0")
    shutil.rmtree(project / ".git")

    for target in ("check-update", "update"):
        line = error_of(shell(f"make {target}", project, PATH=path))

        assert line == "error: expected a git repository, got none; run: make init"


def test_uncommitted_work_is_not_touched(ready: Copy, shell: Shell, path: str) -> None:
    project = ready("v1.0.0")
    (project / "README.md").write_text("mine")

    result = shell("make update", project, PATH=path)

    assert error_of(result).startswith("error: expected all work to be committed")
    assert (project / "README.md").read_text() == "mine"


def test_a_conflict_is_named_and_cannot_be_committed(ready: Copy, shell: Shell, path: str) -> None:
    project = ready("v1.0.0")
    config = project / "configs" / "digits.yaml"
    config.write_text(re.sub(r"max_epochs: .*", "max_epochs: 7", config.read_text()))
    commit(project)

    result = shell("make update", project, PATH=path)

    assert result.returncode == 2
    assert "error: both you and the template changed the same lines" in result.stdout
    assert "configs/digits.yaml" in result.stdout
    assert "pytest" not in result.stdout, "the tests run before the conflict is resolved"
    marked = config.read_text()
    assert re.search(r"^<<<<<<< before updating\n +max_epochs: 7\n=======\n", marked, re.MULTILINE)
    git(project, "add", "--all")
    hook = shell("pre-commit run conflicts", project, PATH=path)
    assert hook.returncode == 1
    assert "configs/digits.yaml" in hook.stdout
    config.write_text(re.sub(r"<<<<<<<.*\n(.*\n)=======\n(.*\n)*?>>>>>>>.*\n", r"\1", marked))
    git(project, "add", "--all")
    assert shell("pre-commit run conflicts", project, PATH=path).returncode == 0
    assert "max_epochs: 7" in config.read_text()


def test_rejected_hunks_cannot_be_committed(ready: Copy, shell: Shell, path: str) -> None:
    project = ready("v1.0.0")
    (project / "README.md.rej").write_text("a hunk\n")
    git(project, "add", "--force", "README.md.rej")

    assert shell("pre-commit run rejected", project, PATH=path).returncode == 1
