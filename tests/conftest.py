"""Renders of the template, one per set of answers, and a shell in which their commands run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import copier
import pytest

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "template"

# Environments of some GB belong beside the repository's own, not on a small /tmp.
os.environ["PYTEST_DEBUG_TEMPROOT"] = str(ROOT / "build")
(ROOT / "build").mkdir(exist_ok=True)

Render = Callable[..., Path]
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Renders the work tree as it is. Equal answers share a folder: only read there."""
    rendered: dict[tuple[tuple[str, str], ...], Path] = {}

    def make(**answers: str) -> Path:
        key = tuple(sorted(answers.items()))
        if key not in rendered:
            folder = tmp_path_factory.mktemp("render") / "project"
            # unsafe=False is the test that nobody needs --trust.
            copier.run_copy(
                str(ROOT),
                folder,
                data=answers,
                defaults=True,
                unsafe=False,
                vcs_ref="HEAD",
                quiet=True,
            )
            rendered[key] = folder
        return rendered[key]

    return make


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def bare_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with Python, git and make, but without uv."""
    tools = tmp_path_factory.mktemp("bin")
    (tools / "python3").symlink_to(sys._base_executable)
    for name in ("git", "make"):
        found = shutil.which(name)
        assert found, f"expected {name} on PATH"
        (tools / name).symlink_to(found)
    others = [part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "uv").exists()]
    return os.pathsep.join([str(tools), *others])


@pytest.fixture(scope="session")
def shell(home: Path, bare_path: str) -> Shell:
    """Runs a shell line as a stranger would: an empty home, no uv, no settings of this session."""
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
            "GIT_CEILING_DIRECTORIES": str(ROOT / "build"),  # the renders lie inside this repository
            **author,
            **caches,
        }
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=cwd,
            env={**kept, **settings, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def _uv_cache() -> str | None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if not Path(uv).exists():
        return None
    return subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
