"""The optional parts serve their purpose: images, the development container, the documentation site."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from answers import CHOICES, NAMED
from conftest import Render, Shell, pretend_to_be_installed, succeeded

slow = pytest.mark.slow
TRAIN = "fit --config configs/fake.yaml --trainer.max_steps=2 --trainer.limit_val_batches=1 --name=two"


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Each instruction and the rest of its line, in the order of the file."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


@pytest.fixture
def docker(tmp_path: Path) -> str:
    """A PATH with a docker that prints its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text('#!/bin/sh\nfor word; do echo "<$word>"; done\n')
    (folder / "docker").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("answers", "target", "words"),
    [
        ({}, "image-cpu", ["build", "--tag", "my-project:cpu", "--build-arg", "TORCH_BACKEND=cpu", "."]),
        ({}, "image-cuda", ["build", "--tag", "my-project:cuda", "--build-arg", "TORCH_BACKEND=", "."]),
        ({"torch_backend": "cu132"}, "image-cuda", ["TORCH_BACKEND=cu132"]),
        ({"torch_backend": "auto"}, "image-cuda", ["TORCH_BACKEND=cu130"]),
        ({}, "image-run-cpu ARGS='fit --config x'", ["my-project:cpu", "fit", "--config", "x"]),
        ({}, "image-run-cuda", ["--gpus", "all", "my-project:cuda"]),
    ],
)
def test_images(
    render: Render,
    tmp_path: Path,
    shell: Shell,
    docker: str,
    answers: dict[str, str],
    target: str,
    words: list[str],
) -> None:
    project = tmp_path / "my project"
    shutil.copytree(render(**answers), project)

    told = re.findall(
        r"^<(.*)>$", succeeded(shell(f"make --silent {target}", project, PATH=docker)), re.MULTILINE
    )

    assert told[-len(words) :] == words or words[0] in told
    if "run" in target:
        assert f"{project}/runs:/project/runs" in told, "what is trained is lost"


def test_dockerfile_copies_what_is_there_and_does_not_run_as_root(render: Render) -> None:
    project = render()
    steps = instructions(project / "Dockerfile")
    kinds = [kind for kind, _ in steps]

    for kind, rest in steps:
        if kind == "COPY":
            source, target = rest.split()
            assert (project / source).exists()
            assert target in ("./", ".")
    assert kinds[0] == "FROM"
    assert kinds.index("USER") > max(index for index, kind in enumerate(kinds) if kind == "RUN")
    assert dict(steps)["ENTRYPOINT"] == '["python", "-m", "my_project"]'
    assert "ADD" not in kinds


@slow
def test_the_steps_of_the_dockerfile_make_a_project_that_trains(
    render: Render, tmp_path: Path, shell: Shell, clone: Path, demo: Path
) -> None:
    """The instructions run one by one, in a folder and an environment in place of an image."""
    project, image, environment = render(), tmp_path / "image", tmp_path / "environment"
    uv = clone / ".venv" / "bin" / "uv"
    succeeded(shell(f"{uv} venv --quiet --seed {environment}", tmp_path))
    path = f"{environment}/bin:/usr/bin:/bin"
    variables: dict[str, str] = {}
    image.mkdir()
    ran = 0
    for kind, rest in instructions(project / "Dockerfile"):
        if kind in ("ARG", "ENV"):
            name, _, value = rest.partition("=")
            variables[name] = value.strip('"')
        elif kind == "COPY":
            source, target = rest.split()
            copied = project / source
            copy = shutil.copytree if copied.is_dir() else shutil.copy
            copy(copied, image / target, **({"dirs_exist_ok": True} if copied.is_dir() else {}))
        elif kind == "RUN" and "apt-get" not in rest:  # this would change the machine
            line = rest.replace("--system", f"--python {environment}/bin/python").replace("--no-cache ", "")
            succeeded(shell(line, image, PATH=path, TORCH_BACKEND=variables.get("TORCH_BACKEND", "")))
            ran += 1
        elif kind == "ENTRYPOINT":
            succeeded(shell(shlex.join([*json.loads(rest), *shlex.split(TRAIN)]), image, PATH=path))
            ran += 1
    shutil.rmtree(environment)

    assert ran == 4
    assert list(image.glob("runs/*-two/metrics.csv"))


def test_development_container_starts_like_the_readme(render: Render) -> None:
    project = render(**NAMED["only-devcontainer"])
    container = json.loads((project / ".devcontainer/devcontainer.json").read_text())

    assert container["postCreateCommand"] == "make init"
    assert "make init\n" in (project / "README.md").read_text()
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"].endswith(
        "/.venv/bin/python"
    )


def test_gitlab_checks_what_the_others_check(render: Render) -> None:
    steps = yaml.safe_load((render(ci="gitlab") / ".gitlab-ci.yml").read_text())["check"]["script"]

    assert steps == ["make init", "make check"]


@slow
def test_documentation_site_has_a_page_for_each_module(
    render: Render, tmp_path: Path, shell: Shell, clone: Path, demo: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(render(options=CHOICES["options"]), project)
    pretend_to_be_installed(project, uv=clone / ".venv" / "bin" / "uv")

    succeeded(shell("make docs", project))

    site = project / "build" / "site"
    pages = {path.relative_to(site / "reference").as_posix() for path in site.glob("reference/**/*.html")}
    for module in (project / "my_project").rglob("*.py"):
        name = module.relative_to(project).with_suffix(".html").as_posix()
        private = module.stem.startswith("_") and module.stem != "__init__"
        assert private or name.replace("__init__", "index") in pages, name
    assert len(pages) > 50
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r"<(?:script|img|link)[^>]* (?:src|href)=\"?(https?://[^\" >]+)", page.read_text()
        )
        assert not [address for address in fetched if "example" not in address], page

    (project / "docs" / "clusters.md").write_text("[broken](nowhere.md)\n")
    broken = shell("make docs", project)
    assert broken.returncode == 2
    assert "nowhere.md" in broken.stdout
