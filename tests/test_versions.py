"""The lowest and highest versions that we support: packages, Python, Copier."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Render, Shell, succeeded
from packaging.requirements import Requirement
from packaging.version import Version

OLDEST_PYTHON = "3.11"
OTHER_PYTHONS = ("3.12", "3.13")
TRAIN = "{python} -m my_project fit --config configs/digits.yaml --trainer.max_epochs=2 --test_after_fit=true"

slow = pytest.mark.slow


@pytest.fixture
def uv(clone: Path, demo: Path) -> str:
    """The uv that `make` has put into the clone."""
    return str(clone / ".venv" / "bin" / "uv")


def interpreter(uv: str, version: str) -> str:
    """A Python of that version: one that is installed, perhaps by pyenv, or one that uv can fetch."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if here := sorted(pyenv.glob(f"versions/{version}.*/bin/python")):
        return str(here[-1])
    find = [uv, "python", "find", "--system", version]
    found = subprocess.run(find, capture_output=True, text=True)
    if found.returncode:
        subprocess.run([uv, "python", "install", "--quiet", version], capture_output=True, timeout=300)
        found = subprocess.run(find, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"no Python {version}, and uv cannot fetch it: pyenv install {version}")
    return found.stdout.strip()


@pytest.fixture
def fresh(render: Render, tmp_path: Path) -> Path:
    """A project without an environment; the test leaves nothing of several GB behind."""
    project = tmp_path / "project"
    shutil.copytree(render(), project)
    return project


@slow
@pytest.mark.parametrize("version", OTHER_PYTHONS)
def test_installs_and_trains_on_python(fresh: Path, shell: Shell, uv: str, version: str) -> None:
    python = interpreter(uv, version)
    try:
        succeeded(shell(f"{uv} venv --quiet --python {python} .venv && make init", fresh))
        assert version in succeeded(shell(".venv/bin/python --version", fresh))
        told = succeeded(shell(TRAIN.format(python=".venv/bin/python"), fresh))
        succeeded(shell("make quality types test ARGS='tests/structs tests/model tests/test_demo.py'", fresh))
    finally:
        shutil.rmtree(fresh / ".venv")

    assert re.search(r"test/accuracy 0\.[3-9]", told)


@slow
def test_passes_its_tests_with_the_lowest_releases(fresh: Path, shell: Shell, uv: str) -> None:
    """The lowest versions that the bounds of all direct dependencies allow, extras included."""
    python = interpreter(uv, OLDEST_PYTHON)
    lowest = "--resolution=lowest-direct --editable '.[dev,sweep]'"
    try:
        succeeded(shell(f"{uv} venv --quiet --python {python} .venv", fresh))
        succeeded(shell(f"{uv} pip install --quiet --python .venv/bin/python {lowest}", fresh))
        (fresh / ".venv/.ready-dev,sweep").touch()
        listed = succeeded(shell(f"{uv} pip list --quiet --format=json --python .venv/bin/python", fresh))
        told = succeeded(shell("make quality test", fresh))
    finally:
        shutil.rmtree(fresh / ".venv")

    installed = {package["name"]: Version(package["version"]) for package in json.loads(listed)}
    project = tomllib.loads((fresh / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for wanted in map(Requirement, [*project["dependencies"], *extras["dev"], *extras["sweep"]]):
        (lower,) = [bound for bound in wanted.specifier if bound.operator in (">=", "==")]
        assert installed[wanted.name] == Version(lower.version), wanted
    assert " passed" in told


@slow
@pytest.mark.parametrize("end", ["lowest", "newest"])
def test_copies_and_updates_with_copier(clone: Path, tmp_path: Path, shell: Shell, uv: str, end: str) -> None:
    lowest = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]
    wanted = f"copier=={lowest}" if end == "lowest" else "copier"
    succeeded(
        shell(f"{uv} venv --quiet tools && {uv} pip install --quiet --python tools '{wanted}'", tmp_path)
    )
    path = os.pathsep.join([str(tmp_path / "tools/bin"), os.environ["PATH"]])
    template = tmp_path / "template"
    shutil.copytree(clone, template, ignore=shutil.ignore_patterns(".venv", "build"))
    succeeded(shell("git tag v1.0.0 && echo later > template/LATER && git add -A", template))
    succeeded(shell("git commit -qm later && git tag v1.1.0", template))

    told = succeeded(shell("copier --version", tmp_path, PATH=path))
    assert end == "newest" or lowest in told
    answers = "-d 'options=[docs]' -d ci=github"
    copy = f"copier copy --quiet --defaults --vcs-ref v1.0.0 {answers} '{template}' project"
    succeeded(shell(copy, tmp_path, PATH=path))
    project = tmp_path / "project"
    succeeded(shell("git init -q && git add -A && git commit -qm all", project))
    succeeded(shell("copier update --quiet --defaults", project, PATH=path))

    assert (project / "LATER").exists()
    assert (project / "mkdocs.yml").exists()
    assert (project / ".github").exists()
    assert not (project / "Dockerfile").exists()
    assert succeeded(shell("git diff --name-only", project)).split() == [".copier-answers.yml"]


def test_the_same_pythons_everywhere(render: Render) -> None:
    project = tomllib.loads((render() / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={OLDEST_PYTHON}"
    everything = render(ci="both", options=["docker", "devcontainer"])
    gitlab = render(ci="gitlab")
    images = {
        everything / ".circleci/config.yml": r"cimg/python:([\d.]+)",
        everything / "Dockerfile": r"FROM python:([\d.]+)",
        everything / ".devcontainer/devcontainer.json": r"devcontainers/python:([\d.]+)",
        gitlab / ".gitlab-ci.yml": r"image: python:([\d.]+)",
    }
    for path, pattern in images.items():
        assert re.findall(pattern, path.read_text()) == ["3.12"], path
