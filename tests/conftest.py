"""Renders of the template, one for each set of answers, and a shell in which their commands run."""

import fcntl
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import copier
import pytest

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "template"

# Environments take several GB: they belong beside that of the repository, not on a small /tmp.
os.environ["PYTEST_DEBUG_TEMPROOT"] = str(ROOT / "build")
(ROOT / "build").mkdir(exist_ok=True)

REPLACED = {"copier copy ": "copier copy --defaults "}  # nobody can answer here

Render = Callable[..., Path]
Shell = Callable[..., subprocess.CompletedProcess[str]]
Once = Callable[[str, Callable[[Path], object]], Path]


def files_in_git(folder: Path = ROOT) -> list[Path]:
    """Files below ``folder`` that git tracks or would track, so no caches."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."]
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return [folder / name for name in listed.split("\0") if name and (folder / name).is_file()]


def copy_files(target: Path) -> None:
    """Copy the work tree, without what git ignores."""
    for path in files_in_git():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


# What `pytest -rs` says of a test in a project.
SKIP = re.compile(r"^SKIPPED \[(\d+)\] .*?:(?:\d+:)? (.*)$", re.MULTILINE)
skipped_below: list[tuple[str, int]] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach skipped tests to the report, which also reaches the summary from another process."""
    report = yield
    report.user_properties += [("skipped below", skip) for skip in skipped_below]
    skipped_below.clear()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was skipped, here and in the projects, by what has to be installed."""
    skips: Counter[str] = Counter()
    for report in itertools.chain(*terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            if report.skipped and isinstance(report.longrepr, tuple):
                skips[report.longrepr[2].removeprefix("Skipped: ")] += 1
            for name, skip in report.user_properties:
                if name == "skipped below":
                    reason, count = skip
                    skips[f"{reason} (in a project)"] = max(skips[f"{reason} (in a project)"], count)
    if skips:
        terminalreporter.section("not tested here, and what it takes")
    for reason, count in sorted(skips.items()):
        terminalreporter.line(f"{count} skipped: {reason}")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in parallel, those of a file with environments of its own stay together."""
    for item in items:
        if item.path.stem in ("test_generated", "test_bolts"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work tree as a plain folder, which renders faster than a repository."""
    folder = tmp_path_factory.mktemp("snapshot")
    copy_files(folder)
    return folder


@pytest.fixture(scope="session")
def render(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Renders the work tree as it is. Equal answers share a folder, which tests only read."""
    rendered: dict[str, Path] = {}

    def make(folder: str = "project", **answers: Any) -> Path:
        key = json.dumps([folder, answers], sort_keys=True)
        if key not in rendered:
            project = tmp_path_factory.mktemp("render") / folder
            # unsafe=False is the test that nobody needs --trust.
            copier.run_copy(str(snapshot), project, data=answers, defaults=True, unsafe=False, quiet=True)
            rendered[key] = project
        return rendered[key]

    return make


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def bare_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with Python, git and make, but without uv and Copier, wherever they are."""
    tools = tmp_path_factory.mktemp("bin")
    (tools / "python3").symlink_to(sys._base_executable)
    for name in ("git", "make"):
        found = shutil.which(name)
        assert found, f"expected {name} on PATH"
        (tools / name).symlink_to(found)
    return os.pathsep.join([str(tools), *(_without_tools(part, tools) for part in os.get_exec_path())])


def _without_tools(folder: str, place: Path) -> str:
    """A folder of PATH; if uv or Copier is in it, a folder of links to the rest of it."""
    hidden = {"copier", "uv", "uvx"}
    if not any((Path(folder) / name).exists() for name in hidden):
        return folder
    links = place / f"others-{len(list(place.iterdir()))}"
    links.mkdir()
    for path in Path(folder).iterdir():
        if path.name not in hidden:
            (links / path.name).symlink_to(path.absolute())
    return str(links)


@pytest.fixture(scope="session")
def shell(home: Path, bare_path: str) -> Shell:
    """Runs a shell line as a stranger would: with an empty home, no uv and no settings of this process."""
    caches = {"UV_CACHE_DIR": _uv_cache()} if _uv_cache() else {}
    config = os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))
    author = {
        f"GIT_{who}_{what}": "tests@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    dropped = ("GIT_", "MAKE", "MFLAGS", "PYTEST", "PYTHON", "VIRTUAL_ENV", "COPIER", "WANDB")

    def run(line: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        settings = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": config,  # where a mirror of the package index is configured
            "PATH": bare_path,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CEILING_DIRECTORIES": str(ROOT / "build"),  # the renders are inside this repository
            "PYTEST_ADDOPTS": "-rs",
            "PYTEST_XDIST_AUTO_NUM_WORKERS": "0",  # the cores run the tests of this suite
            **author,
            **caches,
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=cwd,
            env={**kept, **settings, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        skipped_below.extend((reason, int(count)) for count, reason in SKIP.findall(done.stdout))
        return done

    return run


def bash_blocks(readme: Path) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks, f"{readme} has no command"
    return blocks


def block_with(readme: Path, words: str) -> str:
    (block,) = [block for block in bash_blocks(readme) if words in block]
    for written, run in REPLACED.items():
        block = block.replace(written, run)
    return block


def succeeded(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout[-6000:]
    return result.stdout


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes a folder that the processes of a test run share: the first makes it, the others wait."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, steps: Callable[[Path], object]) -> Path:
        folder = common / name
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (made := common / f"{name}.made").exists():
                shutil.rmtree(folder, ignore_errors=True)
                steps(folder)
                made.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def clone(once: Once, shell: Shell) -> Path:
    """A clean clone of this repository, as if the work tree had been committed; its files are only read."""

    def steps(folder: Path) -> None:
        copy_files(folder)
        succeeded(shell("git init -q && git add -A && git commit -qm all", folder))

    return once("clone", steps)


@pytest.fixture(scope="session")
def demo(clone: Path, once: Once, shell: Shell) -> Path:
    """The project of `make demo`, made with no uv on PATH and an empty home; its files are only read."""
    once("demo", lambda _: succeeded(shell(block_with(clone / "README.md", "make demo"), clone)))
    return clone / "build" / "demo"


@pytest.fixture(scope="session")
def project(clone: Path, demo: Path, home: Path, shell: Shell, bare_path: str) -> Path:
    """The project of the README: copied, initialised and trained once, with uv on PATH."""
    path = os.pathsep.join([str(clone / ".venv" / "bin"), bare_path])
    copied = succeeded(shell(block_with(clone / "README.md", "copier copy"), clone, PATH=path))
    assert "make init" in copied
    folder = home / "my-project"
    start = block_with(clone / "README.md", "make init\nsource")
    assert start == bash_blocks(folder / "README.md")[0], "the two READMEs start a project differently"
    told = succeeded(shell(start, folder, PATH=path))
    assert "source .venv/bin/activate" in told
    return folder


def copy_project(project: Path, target: Path) -> None:
    """Copy a project without its environment, repository, data and runs."""
    left_out = {".venv", ".git", "data", "runs", ".pytest_cache", ".ruff_cache"}
    # Only those beside the package, which has folders data and runs itself.
    shutil.copytree(
        project, target, ignore=lambda folder, names: left_out & {*names} if Path(folder) == project else ()
    )


def pretend_to_be_installed(project: Path, **tools: str | Path) -> None:
    """Let the Makefile of ``project`` find ``tools`` in an environment, which it then does not make."""
    folder = project / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name, path in {"python": sys.executable, **tools}.items():
        (folder / name).symlink_to(path)
    (project / ".venv" / ".ready-dev,sweep").touch()
    os.utime(project / "pyproject.toml", (0, 0))  # older than the environment: nothing to install


def _uv_cache() -> str | None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if not Path(uv).exists():
        return None
    return subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
