"""Every set of answers: the files it should have, each of them parses, nothing left to format."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TEMPLATE, Render

LONG = "a_package_of_thirty_two_letterxx"
ANSWER_SETS = {
    "defaults": {},
    "all-off": {"license": "none", "ci": "github"},
    "all-on": {
        "license": "BSD-3-Clause",
        "ci": "both",
        "torch_backend": "cu130",
        "wandb_base_url": "https://wandb.example.org",
        "user_email": "ada@example.org",
    },
    "awkward": {
        "project_name": 'Größe: "5" # it\'s',
        "package_name": LONG,
        "license": "MIT",
        "torch_backend": "cpu",
    },
    "short": {"package_name": "x", "license": "MIT", "torch_backend": "auto", "ci": "both"},
    "amd": {"torch_backend": "rocm7.2", "license": "none"},
}
# `_exclude` of copier.yml, said in another way: (question, answer) -> what stays away.
LEFT_OUT = {
    ("license", "none"): "LICENSE",
    ("ci", "github"): ".circleci/",
    ("ci", "circleci"): ".github/",
}


@pytest.fixture(params=ANSWER_SETS.values(), ids=ANSWER_SETS, scope="module")
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return request.param


@pytest.fixture
def project(render: Render, answers: dict[str, str]) -> Path:
    return render(**answers)


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def template_files() -> list[str]:
    """Files of the template that git has or would have: no caches."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."]
    listed = subprocess.run(command, cwd=TEMPLATE, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (TEMPLATE / name).exists()]


def test_every_question_is_varied() -> None:
    config = yaml.safe_load((ROOT / "copier.yml").read_text())
    choices = {
        name: set(question["choices"].values()) for name, question in config.items() if "choices" in question
    }

    for name, values in choices.items():
        used = {answers.get(name, config[name]["default"]) for answers in ANSWER_SETS.values()}
        assert used | {"Apache-2.0", "cu132"} >= values, name


def test_has_exactly_the_files_of_the_template(project: Path, answers: dict[str, str]) -> None:
    known = {"license": "Apache-2.0", "ci": "circleci", "package_name": "my_project", **answers}
    package = {
        "{{package_name}}": known["package_name"],
        "{{ _copier_conf.answers_file }}": ".copier-answers.yml",
    }
    expected = set()
    for name in template_files():
        for marker, value in package.items():
            name = name.replace(marker, value)
        expected.add(name.removesuffix(".jinja"))
    for (question, answer), prefix in LEFT_OUT.items():
        if known[question] == answer:
            assert any(name.startswith(prefix) for name in expected), f"{prefix} is no longer in the template"
            expected = {name for name in expected if not name.startswith(prefix)}

    assert files_of(project) == expected


def test_default_project_has_these_entries_at_its_root(render: Render) -> None:
    assert {path.name for path in render().iterdir()} == {
        ".circleci",
        ".copier-answers.yml",
        ".gitignore",
        ".pre-commit-config.yaml",
        "AGENTS.md",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "configs",
        "docs",
        "my_project",
        "scripts",
        "pyproject.toml",
        "tests",
    }


def test_python_is_copied_byte_for_byte(project: Path, answers: dict[str, str]) -> None:
    package = answers.get("package_name", "my_project")
    source = TEMPLATE / "{{package_name}}"

    for name in template_files():
        if name.startswith(f"{source.name}/"):
            inside = name.removeprefix(f"{source.name}/")
            assert (project / package / inside).read_bytes() == (source / inside).read_bytes(), name


def test_no_jinja_is_left(project: Path) -> None:
    for path in project.rglob("*"):
        if path.is_dir() or path.suffix in (
            ".py",
            ".npz",
        ):  # Python is parsed below; its braces are its own
            continue
        text = re.sub(r"\$\{\{.*?\}\}|\{\{ checksum .*?\}\}", "", path.read_text())
        assert not re.search(r"\{\{|\{%|\{#", text), path
    assert not list(project.rglob("*.jinja"))


def test_everything_parses(project: Path) -> None:
    readers = {
        ".toml": tomllib.loads,
        ".yaml": lambda text: list(yaml.safe_load_all(text)),
        ".yml": lambda text: list(yaml.safe_load_all(text)),
        ".json": json.loads,
        ".py": ast.parse,
    }
    read = 0
    for path in project.rglob("*"):
        if path.suffix in readers:
            readers[path.suffix](path.read_text())
            read += 1
    assert read > 20


@pytest.mark.parametrize(
    "target",
    ["help", "init", "run", "check", "style", "test", "test-metrics", "test-pdb-metrics", "clean"],
)
def test_make_knows_its_targets(project: Path, target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=project, check=True, capture_output=True)


def test_nothing_is_left_to_lint_or_format(project: Path) -> None:
    for command in (["check"], ["format", "--check", "--diff"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--quiet", "."],
            cwd=project,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_text_files_end_with_one_newline(project: Path) -> None:
    for path in project.rglob("*"):
        if path.is_file() and path.suffix != ".npz" and path.stat().st_size:
            text = path.read_text()
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
            assert not re.search(r"[ \t]+$", text, re.MULTILINE), path


def test_first_command_stands_early_in_the_readme(render: Render) -> None:
    for readme in (ROOT / "README.md", render() / "README.md"):
        lines = readme.read_text().splitlines()
        assert lines.index("```bash") < 25, readme
