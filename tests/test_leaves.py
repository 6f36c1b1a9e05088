"""The folders of the engine that nothing else needs: a project works without them."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TEMPLATE, Render, Shell, succeeded

# What a leaf is called in texts, and the packages that only it imports.
WORDS = {"sweep": "sweep", "report": "report", "wandb": "wandb|Weights & Biases", "bolts": "bolts"}
PACKAGES = {"optuna", "wandb", "pl_bolts"}
LEAVES = tuple(WORDS)
SETS = [*((name,) for name in LEAVES), LEAVES]
TRAIN = "fit --config configs/digits.yaml --trainer.max_epochs=1"
OFF = "Weights & Biases: off, because engine/wandb was deleted; remove WandbRunLogger from the config"
ENGINE = TEMPLATE / "{{package_name}}" / "engine"

slow = pytest.mark.slow
each_and_all = pytest.mark.parametrize("names", SETS, ids="-".join)
pytestmark = pytest.mark.xdist_group("test_generated")  # shares its environment
Without = Callable[[tuple[str, ...]], Path]


@pytest.fixture
def without(render: Render, tmp_path: Path) -> Without:
    """Deletes leaves from a project that has all of them."""

    def delete(names: tuple[str, ...]) -> Path:
        copy = tmp_path / "project"
        shutil.copytree(render(options=[*LEAVES, "docker", "slurm"]), copy)
        os.utime(copy / "pyproject.toml", (0, 0))  # older than the environment: nothing to install
        for name in names:
            shutil.rmtree(copy / "my_project" / "engine" / name)
        return copy

    return delete


def named(text: str, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if re.search(WORDS[name], text)]


def check(project: Path, environment: Path, shell: Shell) -> str:
    """Run `make check` in the shared environment, whose extras are those of the default project."""
    return succeeded(shell(f"make check VENV={environment} EXTRAS=dev,sweep", project))


@each_and_all
def test_help_names_what_is_there_and_nothing_else(without: Without, names: tuple[str, ...]) -> None:
    project, commands = without(names), ([sys.executable, "-m", "my_project", "--help"], ["make", "help"])

    told = "".join(subprocess.check_output(command, cwd=project, text=True) for command in commands)

    assert named(told, names) == []
    others = tuple(name for name in LEAVES if name not in (*names, "bolts"))  # a config, and no command
    assert named(told, others) == list(others)


def test_help_of_the_minimum_names_no_leaf(render: Render) -> None:
    project, commands = render(profile="minimum"), ([sys.executable, "-m", "my_project", "--help"], ["make"])

    told = "".join(subprocess.check_output(command, cwd=project, text=True) for command in commands)

    assert named(told, LEAVES) == []


@pytest.mark.parametrize(("names", "extras"), [((), "dev,sweep"), (("sweep",), "dev")])
def test_init_installs_what_the_leaves_need(without: Without, names: tuple[str, ...], extras: str) -> None:
    command = ["make", "--dry-run", "--always-make", "init"]

    told = subprocess.check_output(command, cwd=without(names), text=True)

    assert f'--editable ".[{extras}]"' in told


def test_a_declined_leaf_is_no_dependency(render: Render) -> None:
    assert '"wandb>=' in (render() / "pyproject.toml").read_text()
    assert "wandb" not in (render(profile="minimum") / "pyproject.toml").read_text()
    assert "--extra sweep" in (render(options=["docker", "sweep"]) / "Dockerfile").read_text()
    assert "--extra" not in (render(options=["docker"]) / "Dockerfile").read_text()


def test_configs_name_no_logger_of_a_declined_leaf(render: Render) -> None:
    for project, has_it in ((render(), True), (render(profile="minimum"), False)):
        for name in ("digits", "cifar10", "image_folder"):
            assert ("WandbRunLogger" in (project / "configs" / f"{name}.yaml").read_text()) == has_it


def test_only_files_that_need_it_are_excused_from_finding_every_import() -> None:
    for path in ENGINE.parent.rglob("*.py"):
        source = path.read_text()
        nodes = list(ast.walk(ast.parse(source)))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {
            str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
        }
        needs_it = bool(PACKAGES & {name.partition(".")[0] for name in imported})

        assert ("# pyright: reportMissingImports=false\n" in source) == needs_it, path
        if needs_it:
            assert path.relative_to(ENGINE).parts[0] in LEAVES


@slow
@each_and_all
def test_checks_pass_without_it(
    without: Without, project: Path, shell: Shell, names: tuple[str, ...]
) -> None:
    assert " passed" in check(without(names), project / ".venv", shell)


@slow
@each_and_all
def test_trains_without_it(without: Without, project: Path, shell: Shell, names: tuple[str, ...]) -> None:
    copy, python = without(names), project / ".venv" / "bin" / "python"

    told = succeeded(shell(f"{python} -m my_project {TRAIN}", copy))

    assert told.count(OFF) == ("wandb" in names)
    assert named(told.replace(OFF, ""), names) == []
    (run,) = copy.glob("runs/*/")
    assert (run / "metrics.csv").is_file()
    assert (run / "report.html").is_file() == ("report" not in names)
    told = succeeded(
        shell(f"{python} -m my_project fit --help; {python} -m my_project completion bash", copy)
    )
    theirs = "pytorch_lightning.loggers.WandbLogger"  # Lightning's own
    assert named(told.replace(theirs, ""), names) == []


@slow
def test_the_minimum_trains_and_names_no_leaf(
    render: Render, tmp_path: Path, project: Path, shell: Shell
) -> None:
    copy = tmp_path / "project"  # its checks are run by test_answers.py
    shutil.copytree(render(profile="minimum"), copy)

    told = succeeded(shell(f"{project}/.venv/bin/python -m my_project {TRAIN}", copy))

    assert named(told, LEAVES) == []
    assert list(copy.glob("runs/*/metrics.csv"))


@slow
def test_a_run_of_before_is_tested_without_its_logger(without: Without, project: Path, shell: Shell) -> None:
    copy, python = without(()), project / ".venv" / "bin" / "python"
    succeeded(shell(f"{python} -m my_project {TRAIN}", copy))
    shutil.rmtree(copy / "my_project/engine/wandb")

    told = succeeded(shell(f"{python} -m my_project test --run latest", copy))

    assert told.count(OFF) == 1
    assert "test/accuracy" in told


@slow
def test_a_config_that_cannot_do_without_is_refused_in_one_line(
    without: Without, project: Path, shell: Shell
) -> None:
    result = shell(
        f"{project}/.venv/bin/python -m my_project fit --config configs/bolts.yaml", without(("bolts",))
    )

    assert result.returncode == 2
    assert result.stdout == (
        "error: this config needs my_project/engine/bolts, which this project does not have; use another "
        "config, or add bolts to the options of the template (make update)\n"
    )
