"""The first line of each command: the table of commands, and what is imported to find one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import my_project as package
import pytest
import yaml
from my_project.__main__ import COMMANDS as OWN
from my_project.__main__ import main
from my_project.engine.cli import start
from my_project.engine.config import leaves
from my_project.engine.config.leaves import import_named, leaf
from PIL import Image
from support import CONFIG

PACKAGE = package.__name__
# What a command that does not train, search or track has no use for; each by the module that stands for it.
HEAVY = ("torch", "pytorch_lightning", "numpy", "matplotlib", "PIL", "optuna", "wandb")


def imported_by(*lines: list[str]) -> set[str]:
    """The modules of ``HEAVY`` that command lines import, one after the other in a process of their own."""
    code = (
        f"import contextlib, io, json, sys\nfrom {PACKAGE}.__main__ import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    status = [main(line) for line in {list(lines)!r}]\n"
        "assert not any(status), status\n"
        f"print(json.dumps(sorted(set(sys.modules) & set({HEAVY!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("option", "expected"), [("--version", package.__version__), ("--help", "predict latest")]
)
def test_answers_without_importing_anything_heavy(option: str, expected: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", PACKAGE, option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert expected in done.stdout
    assert f"{PACKAGE}.engine.cli.start" in done.stderr
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not modules & set(HEAVY)
    assert not [name for name in modules if name.startswith("torch")]


def test_a_report_imports_neither_torch_nor_lightning(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "20260101-000000-first"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("a: 1\n")

    imported = imported_by(["report", "first", "--no_open"])

    assert (run / "report.html").is_file()
    assert not imported


def test_fit_and_predict_import_neither_optuna_nor_wandb() -> None:
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    Image.new("RGB", (16, 16)).save("image.png")

    imported = imported_by(
        ["fit", "--config", "config.yaml"],
        ["predict", "latest", "image.png", "--output", "found.csv"],
    )

    assert Path("found.csv").read_text().count("\n") == 2
    assert "torch" in imported
    assert not imported & {"optuna", "wandb"}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that is found instead of the installed one."""
    copy = tmp_path / "project" / PACKAGE
    shutil.copytree(Path(package.__file__).parent, copy)
    monkeypatch.setenv("PYTHONPATH", str(copy.parent))
    return copy


def run_copy(copy: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", PACKAGE, *args]
    return subprocess.run(command, cwd=copy.parent, capture_output=True, text=True, timeout=300)


DELETED = {
    "report": "engine/report",
    "sweep": "engine/sweep",
    "demo": "demo.py",
    "predict": "engine/cli/predict.py",
}


def test_a_command_whose_file_is_deleted_is_offered_nowhere(copy: Path) -> None:
    others = [*start.COMMANDS, *OWN]
    for command, path in DELETED.items():
        assert f"\n  {command} " in run_copy(copy, "--help").stdout
        shutil.rmtree(copy / path) if (copy / path).is_dir() else (copy / path).unlink()
        others.remove(command)

        assert f"\n  {command} " not in run_copy(copy, "--help").stdout
        refused = run_copy(copy, command)
        assert refused.returncode == 2
        assert refused.stderr.endswith(
            f"error: expected one of {', '.join(others)}, got '{command}'; see --help\n"
        )

    completion = run_copy(copy, "completion", "bash")
    assert completion.returncode == 0, completion.stderr
    assert "words='fit validate test lr_find batch_size_find show_batch'" in completion.stdout
    assert not [command for command in DELETED if f"{command})" in completion.stdout]


def test_a_command_of_the_project_stands_beside_those_of_the_engine(copy: Path) -> None:
    (copy / "hello.py").write_text("def run(args):\n    print(args)\n    return 3\n")
    main_file = copy / "__main__.py"
    line = '    "hello": Command("hello", (("greet:", "hello NAME"),)),\n}\n'
    main_file.write_text(main_file.read_text().replace("\n}\n", f"\n{line}", 1))

    assert "greet:" in run_copy(copy, "--help").stdout
    done = run_copy(copy, "hello", "you")
    assert (done.returncode, done.stdout) == (3, "['hello', 'you']\n")


def test_examples_name_a_config_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert leaves.example_config() == "digits.yaml"
    monkeypatch.setattr(leaves, "CONFIGS", tmp_path)
    assert leaves.example_config() == "NAME.yaml"
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / name).write_text("model: {}\n")
    (tmp_path / "0.yaml").write_text("sweep: {}\n")
    assert leaves.example_config() == "a.yaml"


def test_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    monkeypatch.setattr(start, "PROJECT", tmp_path)

    assert main(["fit"]) == 2
    assert capsys.readouterr().err == "error: pytorch-lightning is not installed; run `make init` first\n"


def test_an_environment_without_the_packages_is_tried_once(copy: Path) -> None:
    (copy.parent / ".venv/bin").mkdir(parents=True)
    empty = copy.parent / ".venv/bin/python"  # without the packages of any site
    empty.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    empty.chmod(0o755)
    done = subprocess.run(
        [str(empty), "-m", PACKAGE, "fit"],
        cwd=copy.parent,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: pytorch-lightning is not installed")
    assert done.stderr.count("using ") == 1


def test_a_leaf_is_found_as_long_as_its_folder_is_there() -> None:
    found = leaf("report", "callback")
    assert found is not None
    assert found.__name__ == f"{PACKAGE}.engine.report.callback"
    assert leaf("report").__name__ == f"{PACKAGE}.engine.report"
    assert leaf("nothing") is None


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["fit", "--config=plain.yaml", "--name=x"], ""),
        (["fit", "--config=tracked.yaml"], "wandb"),
        (["fit", "--config", "plain.yaml", "--config", "tracked.yaml"], "wandb"),
        (["fit", "--trainer.logger=WandbRunLogger"], "wandb"),
        (["fit", "--data=BoltsData", "--config=tracked.yaml"], "wandb bolts"),
    ],
)
def test_a_leaf_is_imported_where_a_config_or_an_option_names_what_it_holds(
    copy: Path, args: list[str], expected: str
) -> None:
    for name in ("wandb", "bolts"):
        (copy / "engine" / name).mkdir(exist_ok=True)
        (copy / "engine" / name / "__init__.py").write_text(f"def prepare(text): print({name!r}, end=' ')\n")
    Path("plain.yaml").write_text("trainer: {max_epochs: 1}")
    Path("tracked.yaml").write_text("trainer: {logger: {class_path: WandbRunLogger}}")

    code = f"from {PACKAGE}.engine.config.leaves import import_named; import_named({args!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected


LOGGERS = f"""
import shutil, sys
from {PACKAGE}.engine.config.leaves import import_named
import_named(["fit", "--trainer.logger=WandbRunLogger"])
from pytorch_lightning.loggers import Logger
def below(cls): return {{cls}}.union(*map(below, cls.__subclasses__()))
print(*[cls.__module__ for cls in below(Logger) if cls.__name__ == "WandbRunLogger"])
"""


@pytest.mark.parametrize(("is_deleted", "where"), [(False, "wandb.logger"), (True, "loggers.absent")])
def test_a_logger_whose_leaf_is_deleted_has_a_class_in_its_place(
    copy: Path, is_deleted: bool, where: str
) -> None:
    if is_deleted:
        shutil.rmtree(copy / "engine/wandb")

    done = subprocess.run([sys.executable, "-c", LOGGERS], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{PACKAGE}.engine.{where}"]


def test_a_config_that_cannot_be_read_as_text_is_left_to_the_parser() -> None:
    Path("odd.yaml").write_bytes(b"\xff\xfe")

    import_named(["fit", "--config=odd.yaml"])
