"""Every set of answers gives a project that keeps the rules, passes its own checks and trains."""

import hashlib
import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
from answers import NAMED, OPTIONS, PAIRWISE, RANDOM, TASKS, Answers
from conftest import Once, Render, Shell, succeeded
from hypothesis import HealthCheck, given, settings
from rendered import RULES, has_exactly_its_files, has_tidy_texts, package_of, parses

# Files that no tool of `make check` reads; the checks of every set look at them.
UNREAD = (
    ".circleci",
    ".copier-answers.yml",
    ".devcontainer",
    ".dockerignore",
    ".github",
    ".gitlab-ci.yml",
    "AGENTS.md",
    "CHANGELOG.md",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "docs/index.md",
    "docs/requirements.txt",
    "make",
    "mkdocs.yml",
)
NUM_CLASSES = 16
FIRST_CONFIGS = ("digits.yaml", "multi_digits.yaml", "masks.yaml", "diabetes.yaml", "syllables.yaml")
UNREAD_METADATA = ("authors", "description", "license", "license-files")

pytestmark = pytest.mark.slow


def read_by_check(project: Path, answers: Answers) -> str:
    """A digest of all that `make check` reads: sets that agree in it have the same result."""
    digest = hashlib.sha256()
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        name = path.relative_to(project).as_posix()
        if name.startswith(UNREAD):
            continue
        content = path.read_bytes()
        if name == "pyproject.toml":
            settings = tomllib.loads(content.decode())
            settings["tool"]["uv"].pop("pip", None)  # only says how to install
            for key in UNREAD_METADATA:
                settings["project"].pop(key, None)
            content = repr(settings).encode()
        digest.update(name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


@pytest.fixture(scope="module")
def classes(render: Render) -> dict[str, list[str]]:
    """The named sets, grouped by what their checks read; `make update` of the README checks the defaults.

    Each pairwise set would be a class of its own, since what its checks read depends on the leaves it has;
    test_leaves.py tests these one by one.
    """
    found: dict[str, list[str]] = {}
    for name, answers in NAMED.items():
        found.setdefault(read_by_check(render(**answers), answers), []).append(name)
    return {digest: names for digest, names in found.items() if "defaults" not in names}


@pytest.fixture(scope="module")
def environment(render: Render, clone: Path, demo: Path, shell: Shell, once: Once) -> Path:
    """The environment of the demo, with what other tasks and options need, too."""
    wanted = dependencies(render(tasks=TASKS, options=OPTIONS)) - dependencies(render())
    install = f"{clone}/.venv/bin/uv pip install --quiet --python {demo}/.venv/bin/python"
    line = " ".join([install, *(f"'{dependency}'" for dependency in sorted(wanted))])
    once("others", lambda _: succeeded(shell(line, demo)))
    return demo / ".venv"


def dependencies(project: Path) -> set[str]:
    return set(tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"])


@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_sets_keep_the_rules(render: Render, name: str) -> None:
    project = render(**PAIRWISE[name])

    for rule in RULES:
        rule(project, PAIRWISE[name])


# One set of each class, which is known only when the projects are rendered.
@pytest.mark.parametrize("number", range(NUM_CLASSES))
def test_one_set_of_each_class_is_checked_and_trains(
    render: Render,
    environment: Path,
    tmp_path: Path,
    shell: Shell,
    classes: dict[str, list[str]],
    number: int,
) -> None:
    assert len(classes) == NUM_CLASSES, list(classes.values())
    names = list(classes.values())[number]
    project, python = tmp_path / "project", environment / "bin" / "python"
    shutil.copytree(render(**NAMED[names[0]]), project)
    os.utime(project / "pyproject.toml", (0, 0))  # older than the environment: nothing to install

    told = succeeded(shell(f"make {check_of(names)} VENV={environment} EXTRAS=dev,sweep", project))
    assert " passed" in told

    (config,) = [path for path in map((project / "configs").joinpath, FIRST_CONFIGS) if path.is_file()][:1]
    steps = "--trainer.max_steps=2 --trainer.limit_val_batches=1 --name=two"
    told = succeeded(shell(f"{python} -m {package_of(project)} fit --config {config} {steps}", project))
    assert "error" not in told
    (metrics,) = project.glob("runs/*-two/metrics.csv")
    assert len(metrics.read_text().splitlines()) >= 2


def check_of(names: list[str]) -> str:
    """All of `make check`, but less for sets of one option: test_leaves.py checks projects without one."""
    some = "quality test ARGS='tests/test_main.py tests/test_configs.py'"
    return some if names[0].startswith("only-") else "check"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random")


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,  # the same 25 in each run
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(answers=RANDOM)
def test_random_sets_render_and_parse(snapshot: Path, scratch: Path, answers: dict[str, Any]) -> None:
    project = scratch / "project"
    shutil.rmtree(project, ignore_errors=True)

    copier.run_copy(str(snapshot), project, data=answers, defaults=True, quiet=True)

    for rule in (has_exactly_its_files, parses, has_tidy_texts):
        rule(project, answers)
