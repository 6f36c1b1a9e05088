"""Answers have good defaults and helpful refusals, and may be any text that people type."""

import ast
import datetime
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from answers import CHOICES, CONFIG, EMAIL, QUESTIONS
from conftest import Render
from rendered import texts_of

DOCUMENTED_KEYS = {
    "ask",
    "type",
    "help",
    "choices",
    "default",
    "validator",
    "when",
    "placeholder",
    "secret",
    "multiline",
    "multiselect",
}


def answers_of(project: Path) -> dict[str, Any]:
    return yaml.safe_load((project / ".copier-answers.yml").read_text())


def pyproject_of(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())


def test_asks_few_questions_and_needs_no_answer() -> None:
    assert len([name for name, question in QUESTIONS.items() if "ask" not in question]) <= 10
    for name, question in QUESTIONS.items():
        assert {"type", "help", "default"} <= set(question), name
        assert "validator" in question or "choices" in question, name
        assert set(question) <= DOCUMENTED_KEYS, f"{name}: Copier ignores keys that it does not know"


def test_runs_nothing_at_copy_time() -> None:
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & set(CONFIG)


def test_defaults(render: Render) -> None:
    answers = answers_of(render())

    assert {name: value for name, value in answers.items() if not name.startswith("_")} == {
        "project_name": "My Project",
        "package_name": "my_project",
        "description": "A deep-learning project on PyTorch Lightning.",
        "user_name": "My Project authors",
        "user_email": "",
        "license": "Apache-2.0",
        "tasks": ["images"],
        "torch_backend": "default",
        "wandb_base_url": "",
        "profile": "recommended",
        "ci": "circleci",
        "options": ["docker", "slurm", "sweep", "report", "wandb"],
        "copyright_year": datetime.date.today().year,
    }


@pytest.mark.parametrize(
    ("title", "package"),
    [
        ("Plankton Classifier", "plankton_classifier"),
        ("  2 fast -- 2 furious!  ", "fast_2_furious"),
        ("Torch", "torch_project"),
        ("test", "test_project"),
        ("Lambda", "lambda_project"),
        ("深層学習", "my_project"),
        ("x" * 200, "x" * 40),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_package_name_follows_from_the_title(
    snapshot: Path, tmp_path: Path, title: str, package: str
) -> None:
    only_answers = ["*", "!.copier-answers.yml"]
    options: dict[str, Any] = {"data": {"project_name": title}, "defaults": True, "quiet": True}

    copier.run_copy(str(snapshot), tmp_path, exclude=only_answers, **options)

    assert answers_of(tmp_path)["package_name"] == package


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"package_name": "class"}, "keyword"),
        ({"package_name": "logging"}, "standard library"),
        ({"package_name": "torch"}, "library that the project imports"),
        ({"package_name": "wandb"}, "try 'wandb_project'"),
        ({"package_name": "tests"}, "folder or command of the project"),
        ({"package_name": "my-project"}, "for example: my_project"),
        ({"package_name": "My_Project"}, "lower-case"),
        ({"package_name": "1st"}, "starts with a letter"),
        ({"package_name": "net_"}, "does not end with an underscore"),
        ({"package_name": ""}, "for example"),
        ({"package_name": "../evil"}, "lower-case"),
        ({"package_name": "net\n"}, "lower-case"),
        ({"package_name": "n" * 41}, "this one has 41"),
        ({"project_name": " "}, "needs a title"),
        ({"project_name": "two\nlines"}, "one line"),
        ({"project_name": "t" * 201}, "at most 200"),
        ({"description": "two\nlines"}, "one line"),
        ({"description": "\x7f"}, "control characters"),
        ({"description": "d" * 501}, "at most 500"),
        ({"user_name": ""}, "author is needed"),
        ({"user_name": "two\nlines"}, "one line"),
        ({"user_name": "u" * 251}, "at most 250"),
        ({"user_email": "ada"}, "ada@example.org"),
        ({"user_email": 'a"@example.org'}, "ada@example.org"),
        ({"wandb_base_url": "wandb.example.org"}, "https://wandb.example.org"),
        ({"wandb_base_url": "ftp://example.org"}, "https://wandb.example.org"),
        ({"wandb_base_url": "https://example.org/$(id)"}, "https://wandb.example.org"),
        ({"license": "GPL-3.0"}, "license"),
        ({"torch_backend": "cuda"}, "torch_backend"),
        ({"ci": "jenkins"}, "ci"),
        ({"profile": "maximum"}, "profile"),
        ({"options": ["kubernetes"]}, "options"),
        ({"tasks": ["speech"]}, "tasks"),
        ({"tasks": []}, "at least one task: images, multilabel, segmentation, tabular or text"),
    ],
    ids=lambda value: "-".join(value) + "=" + str(*value.values())[:12] if isinstance(value, dict) else "",
)
def test_refuses_with_a_sentence_that_helps(
    snapshot: Path, tmp_path: Path, answers: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        copier.run_copy(str(snapshot), tmp_path / "new", data=answers, defaults=True, quiet=True)

    assert not (tmp_path / "new").exists(), "something half-written was left"


def test_no_keyword_or_module_of_python_can_be_the_package() -> None:
    taken = set(" ".join(CONFIG["taken_names"]["default"].values()).split())
    possible = re.compile("[a-z]([a-z0-9_]*[a-z0-9])?")

    assert {name for name in (*keyword.kwlist, *sys.stdlib_module_names) if possible.fullmatch(name)} <= taken


def test_no_dependency_can_be_the_package(render: Render) -> None:
    taken = set(" ".join(CONFIG["taken_names"]["default"].values()).split())
    project = pyproject_of(render())["project"]
    wanted = list(chain(project["dependencies"], *project["optional-dependencies"].values()))

    assert {re.split(r"[^a-z0-9-]", name)[0].replace("-", "_") for name in wanted} <= taken


HOSTILE = [
    'O\'Brien said "hi"',
    "colon: value # not a comment",
    "back\\slash \\n \\u0041 \\",
    "{{ 7 * 7 }} {% raw %} {# #} ${HOME} $(id) `id`",
    "naïve — 深層学習 🚀",
    "- [x] = {a: b}, & * ! | > % @",
    "'''\"\"\"",
    "l" * 200,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:10].encode("ascii", "replace").decode())
def test_any_text_gives_a_valid_project(render: Render, text: str) -> None:
    project = render(
        project_name=text,
        package_name="some_package",
        description=text,
        user_name=text,
        license="MIT",
        options=CHOICES["options"],
    )

    metadata = pyproject_of(project)["project"]
    assert metadata["description"] == text
    assert metadata["authors"] == [{"name": text}]
    assert answers_of(project)["project_name"] == text
    assert json.loads((project / ".devcontainer/devcontainer.json").read_text())["name"] == text
    assert yaml.safe_load((project / "mkdocs.yml").read_text())["site_name"] == text
    assert (project / "README.md").read_text().startswith(f"# {text}\n")
    assert f"{text}\n" in (project / "LICENSE").read_text()
    for path in project.rglob("*.py"):
        ast.parse(path.read_text())
    for path in [*project.rglob("*.yaml"), *project.rglob("*.yml")]:
        yaml.safe_load(path.read_text())


def test_e_mail_goes_into_the_metadata(render: Render) -> None:
    project = render(user_name="Ada Lovelace", user_email="ada@example.org", license="none")

    assert pyproject_of(project)["project"]["authors"] == [
        {"name": "Ada Lovelace", "email": "ada@example.org"}
    ]


@pytest.mark.parametrize("backend", QUESTIONS["torch_backend"]["choices"].values())
def test_torch_backend_is_written_for_every_later_install(render: Render, backend: str) -> None:
    uv = pyproject_of(render(torch_backend=backend))["tool"]["uv"]

    assert uv["managed"] is False, "uv run would put another build of torch in its place"
    assert uv.get("pip", {}).get("torch-backend", "default") == backend


@pytest.mark.parametrize(
    "url", ["https://wandb.example.org", "http://localhost:8080/", "http://[::1]:8080/a/b"]
)
def test_wandb_server_is_known_to_make(render: Render, url: str) -> None:
    assert f"export WANDB_BASE_URL ?= {url}\n" in (render(wandb_base_url=url) / "Makefile").read_text()
    assert "WANDB_BASE_URL" not in (render() / "Makefile").read_text()


def test_licence_keeps_the_year_of_its_birth(snapshot: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"defaults": True, "quiet": True}
    project = tmp_path / "project"
    copier.run_copy(str(snapshot), project, data={"license": "MIT"}, **options)
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub(r"copyright_year: \d+", "copyright_year: 1999", answers.read_text()))

    copier.run_recopy(project, overwrite=True, **options)

    assert "Copyright (c) 1999 My Project authors" in (project / "LICENSE").read_text()
    assert answers_of(project)["copyright_year"] == 1999


def test_tells_the_next_two_commands(
    snapshot: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "my project"
    copier.run_copy(str(snapshot), project, defaults=True)

    told = capfd.readouterr().err
    assert f"cd '{project}' && make init" in told
    assert "python -m my_project" in told
    assert "permanent" in CONFIG["_message_before_update"]


def test_no_password_of_the_templates_address_stays(snapshot: Path, tmp_path: Path) -> None:
    repository = tmp_path / "template"
    shutil.copytree(snapshot, repository)
    author = ["-c", "user.name=Ada", "-c", f"user.email={EMAIL}"]
    for words in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "--message=all"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    address = "https://me:planted-key@git.example.org/template.git"
    settings = tmp_path / "gitconfig"  # git takes the folder where the address is asked for
    settings.write_text(f'[url "{repository}"]\n    insteadOf = {address}\n')
    planted = {"GIT_CONFIG_GLOBAL": str(settings), "WANDB_API_KEY": "planted-key"}
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--vcs-ref=HEAD", address, "project"]

    subprocess.run(command, cwd=tmp_path, env={**os.environ, **planted}, check=True, capture_output=True)

    assert answers_of(tmp_path / "project")["_src_path"] == "https://git.example.org/template.git"
    for path in texts_of(tmp_path / "project"):
        assert "planted-key" not in path.read_text(), path
