"""The project of each named set of answers has the right files, which parse and need no formatting."""

import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from answers import CHOICES, NAMED, OPTIONS, PAIRWISE, QUESTIONS, RECOMMENDED, SEVERAL, TASKS, Answers
from conftest import ROOT, Render
from rendered import RULES


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMED)
def test_project(render: Render, name: str, rule: Callable[[Path, Answers], None]) -> None:
    rule(render(**NAMED[name]), NAMED[name])


def test_every_key_is_a_question_and_every_question_is_varied() -> None:
    sets = [*NAMED.values(), *PAIRWISE.values()]
    for question in QUESTIONS:
        given = [answers[question] for answers in sets if question in answers]
        wanted = CHOICES.get(question, [])
        if question in SEVERAL:
            given = [part for parts in given for part in parts]
        assert set(wanted) <= set(given), question
        assert given, question

    assert {key for answers in sets for key in answers} <= set(QUESTIONS)


def test_each_two_answers_of_different_questions_meet() -> None:
    def pairs(answers: Answers) -> set[tuple[tuple[str, str], ...]]:
        flat = {name: answers[name] for name in CHOICES if name not in SEVERAL}
        flat |= {option: option in answers["options"] for option in OPTIONS}
        flat |= {task: task in answers["tasks"] for task in TASKS}
        return set(combinations(sorted(flat.items()), 2))

    met = set().union(*(pairs(answers) for answers in PAIRWISE.values()))
    sizes = [len(values) for name, values in CHOICES.items() if name not in SEVERAL] + [2] * len(
        OPTIONS + TASKS
    )

    assert len(met) == sum(one * other for one, other in combinations(sizes, 2))


def test_default_project_has_these_entries_at_its_root(render: Render) -> None:
    assert {path.name for path in render().iterdir()} == {
        ".circleci",
        ".copier-answers.yml",
        ".dockerignore",
        ".gitignore",
        ".pre-commit-config.yaml",
        "AGENTS.md",
        "CHANGELOG.md",
        "Dockerfile",
        "LICENSE",
        "Makefile",
        "README.md",
        "configs",
        "docs",
        "make",
        "my_project",
        "scripts",
        "pyproject.toml",
        "tests",
    }


def test_the_profile_answers_for_the_optional_parts(render: Render) -> None:
    def parts(**answers: object) -> tuple[str, list[str]]:
        given = yaml.safe_load((render(**answers) / ".copier-answers.yml").read_text())
        return given["ci"], given["options"]

    assert parts() == ("circleci", RECOMMENDED)
    assert parts(profile="minimum") == ("none", [])
    assert parts(profile="minimum", ci="github", options=["docs"]) == ("github", ["docs"])


@pytest.mark.parametrize("name", ["only-docs", "all-on"])
def test_a_folder_with_spaces_and_other_alphabets(render: Render, name: str) -> None:
    answers = NAMED[name]
    project = render(folder="mein Größe 深", **answers)

    for rule in RULES:
        rule(project, answers)


def test_first_command_stands_early_in_the_readme(render: Render) -> None:
    for readme in (ROOT / "README.md", render() / "README.md"):
        lines = readme.read_text().splitlines()
        assert lines.index("```bash") < 25, readme


@pytest.mark.parametrize(
    ("schema", "path", "name"),
    [
        ("vendor.circle-ci", ".circleci/config.yml", "all-on"),
        ("vendor.github-workflows", ".github/workflows/ci.yml", "all-on"),
        ("vendor.gitlab-ci", ".gitlab-ci.yml", "awkward"),
    ],
)
def test_workflows_are_valid(render: Render, schema: str, path: str, name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path]
    result = subprocess.run(command, cwd=render(**NAMED[name]), capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_tree_in_our_readme_is_that_of_the_project(render: Render) -> None:
    tree = (ROOT / "README.md").read_text().split("```text\n", 1)[1].split("```", 1)[0]
    project = render()
    folder, found = project, 0
    for line in tree.splitlines():
        inside = line.startswith("  ") and not line.startswith("   ")
        for word in (line.split()[0],) if line[:1].strip() or inside else ():
            folder = project if not inside else folder
            assert (folder / word).exists() or word == "runs/", word
            folder, found = (project / word if not inside else folder), found + 1
    assert found > 8
