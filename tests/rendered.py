"""Checks of the project of every set of answers, as functions of its folder and the answers."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from answers import Answers, known
from conftest import TEMPLATE, files_in_git

# `_exclude` of copier.yml, stated independently: which part brings which files.
OF_OPTION = {
    "docker": ("Dockerfile", ".dockerignore", "make/docker.mk"),
    "devcontainer": (".devcontainer/",),
    "docs": ("mkdocs.yml", "docs/index.md", "docs/requirements.txt", "make/docs.mk"),
    "slurm": ("scripts/train.sbatch", "scripts/sweep.sbatch", "docs/slurm.md"),
    "sweep": ("PACKAGE/engine/sweep/", "configs/sweep.yaml", "docs/sweeps.md", "scripts/sweep.sbatch"),
    "report": ("PACKAGE/engine/report/",),
    "wandb": ("PACKAGE/engine/wandb/", "configs/sweep_wandb.yaml"),
    "bolts": ("PACKAGE/engine/bolts/", "configs/bolts.yaml"),
    "huggingface": (
        "PACKAGE/engine/huggingface/",
        "PACKAGE/data/hugging_face.py",
        "configs/hugging_face.yaml",
        "docs/hugging_face.md",
        "tests/data/test_hugging_face.py",
    ),
    "pipelines": (
        *("PACKAGE/model/parts.py", "PACKAGE/model/examples/"),
        *("configs/examples/", "docs/pipelines.md", "tests/model/test_parts.py"),
    ),
    "pretrained": (
        *("PACKAGE/engine/pretrained/", "PACKAGE/model/pretrained.py", "configs/finetune.yaml"),
        *("docs/finetuning.md", "tests/model/test_pretrained.py"),
    ),
}
# Files that two tasks share are listed in both.
OF_TASK = {
    "images": (
        *(f"PACKAGE/data/{name}" for name in ("cifar10.py", "digits.py", "fake.py", "image_folder.py")),
        *(f"PACKAGE/{name}" for name in ("data/digits.npz", "data/digits.md", "model/resnet.py")),
        *(
            f"configs/{name}.yaml"
            for name in ("cifar10", "digits", "fake", "image_folder", "photos", "bolts", "stages", "finetune")
        ),
        "docs/photos.md",
        *(f"tests/data/test_{name}.py" for name in ("cifar10", "digits", "fake", "image_folder")),
        "tests/model/test_resnet.py",
    ),
    "tabular": (
        *(f"PACKAGE/data/{name}" for name in ("table.py", "tables.md", "diabetes.csv", "breast_cancer.csv")),
        "PACKAGE/model/mlp.py",
        "PACKAGE/callbacks/residuals.py",
        *(f"configs/{name}.yaml" for name in ("diabetes", "breast_cancer")),
        "tests/data/test_table.py",
        "tests/model/test_mlp.py",
        "tests/callbacks/test_residuals.py",
    ),
    "text": (
        *(f"PACKAGE/data/{name}" for name in ("texts.py", "text_pairs.py", "syllables.")),
        "PACKAGE/model/text_encoder.py",
        *("configs/syllables.yaml", "configs/examples/pronunciation.yaml"),
        *(f"tests/data/test_{name}.py" for name in ("texts", "text_pairs")),
        "tests/model/test_text_encoder.py",
    ),
    "segmentation": (
        *(f"PACKAGE/data/{name}" for name in ("masks.py", "nuclei.")),
        "PACKAGE/model/unet.py",
        *(f"configs/{name}.yaml" for name in ("masks", "mask_folder")),
        "tests/data/test_masks.py",
        "tests/model/test_unet.py",
    ),
    "multilabel": (
        *(f"PACKAGE/{name}" for name in ("data/digits.npz", "data/digits.md", "model/resnet.py")),
        "tests/model/test_resnet.py",
        "PACKAGE/data/multi_digits.py",
        "PACKAGE/callbacks/precision_recall.py",
        "configs/multi_digits.yaml",
        "tests/data/test_multi_digits.py",
        "tests/callbacks/test_precision_recall.py",
    ),
}
OF_CI = {
    "circleci": (".circleci/",),
    "github": (".github/",),
    "both": (".circleci/", ".github/"),
    "gitlab": (".gitlab-ci.yml",),
    "none": (),
}
TARGETS = """\
help init run check style test test-metrics test-pdb-metrics audit update check-update clean"""
OF_BOTH = {("images", "multilabel"): ("configs/pretrain.yaml",)}
OF_OPTION_TARGETS = {
    "docker": "image-cpu image-cuda image-run-cpu image-run-cuda",
    "docs": "docs docs-serve",
    "wandb": "runs wandb-server wandb-server-stop wandb-check wandb-sync",
}


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def texts_of(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return [path for path in files if path.suffix not in (".npz", ".gz")]


def package_of(project: Path) -> str:
    """The name of the package, which may have followed from the title."""
    return str(yaml.safe_load((project / ".copier-answers.yml").read_text())["package_name"])


def absent_files(project: Path, answers: Answers) -> list[str]:
    """Prefixes of the paths that a project does not have with these answers, some more than once."""
    given = known(answers)
    absent = [file for option, files in OF_OPTION.items() if option not in given["options"] for file in files]
    wanted = {file for task in given["tasks"] for file in OF_TASK[task]}
    absent += [file for files in OF_TASK.values() for file in files if file not in wanted]
    absent += [file for both, files in OF_BOTH.items() if not {*both} <= {*given["tasks"]} for file in files]
    absent += [file for files in OF_CI.values() for file in files if file not in OF_CI[given["ci"]]]
    absent += ["LICENSE"] * (given["license"] == "none")
    return [name.replace("PACKAGE", package_of(project)) for name in absent]


def has_exactly_its_files(project: Path, answers: Answers) -> None:
    names = {
        "{{package_name}}": package_of(project),
        "{{ _copier_conf.answers_file }}": ".copier-answers.yml",
    }
    expected = set()
    for path in files_in_git(TEMPLATE):
        name = path.relative_to(TEMPLATE).as_posix()
        for marker, value in names.items():
            name = name.replace(marker, value)
        expected.add(name.removesuffix(".jinja"))
    absent = absent_files(project, answers)
    for prefix in absent:
        assert any(name.startswith(prefix) for name in expected) or absent.count(prefix) > 1, prefix
    expected = {name for name in expected if not name.startswith(tuple(absent))}

    assert files_of(project) == expected


def is_python_of_the_template(project: Path, answers: Answers) -> None:
    source = TEMPLATE / "{{package_name}}"
    package = project / package_of(project)
    files = [path for path in files_in_git(TEMPLATE) if source in path.parents]

    files = {path: package / path.relative_to(source) for path in files}
    left_out = tuple(str(project / name) for name in absent_files(project, answers))
    files = {path: copy for path, copy in files.items() if not str(copy).startswith(left_out)}

    assert len(files) > 80
    for path, copy in files.items():
        assert copy.read_bytes() == path.read_bytes(), path


def parses(project: Path, answers: Answers) -> None:
    readers = {
        ".toml": tomllib.loads,
        ".yaml": lambda text: list(yaml.safe_load_all(text)),
        ".yml": lambda text: list(yaml.safe_load_all(text)),
        ".json": json.loads,
        ".py": ast.parse,
    }
    read = 0
    for path in texts_of(project):
        if path.suffix in readers:
            readers[path.suffix](path.read_text())
            read += 1
    assert read > 100


def has_no_jinja_left(project: Path, answers: Answers) -> None:
    free_text = [str(answers.get(name, "")) for name in ("project_name", "description", "user_name")]
    for path in texts_of(project):
        text = re.sub(r"\$\{\{.*?\}\}|\{\{ checksum .*?\}\}", "", path.read_text())
        for given in filter(None, free_text):
            text = text.replace(given, "")
        # Python is parsed; its braces are its own.
        assert path.suffix == ".py" or not re.search(r"\{\{|\{%|\{#", text), path
    assert not list(project.rglob("*.jinja"))


def has_tidy_texts(project: Path, answers: Answers) -> None:
    for path in texts_of(project):
        if text := path.read_text():
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
            assert not re.search(r"[ \t]+$", text, re.MULTILINE), path


def has_links_that_lead_somewhere(project: Path, answers: Answers) -> None:
    links = 0
    for path in project.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)\)", path.read_text()):
            if not target.startswith("reference/"):  # pages that `make docs` makes
                assert (path.parent / target).exists(), f"{path.name} links to {target}"
                links += 1
    assert links >= 2  # a project without options has few pages


def makes_its_targets(project: Path, answers: Answers) -> None:
    targets = TARGETS.split()
    for option in known(answers)["options"]:
        targets += OF_OPTION_TARGETS.get(option, "").split()
    subprocess.run(["make", "--dry-run", *targets], cwd=project, check=True, capture_output=True)
    told = subprocess.run(["make"], cwd=project, check=True, capture_output=True, text=True).stdout
    for target in targets:
        shown = re.sub(r"-metrics$", "-<pattern>", target)
        assert re.search(rf"make {re.escape(shown)} +\w", told), f"make help does not list {shown}"


def is_linted_and_formatted(project: Path, answers: Answers) -> None:
    for command in (["check"], ["format", "--check", "--diff"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--quiet", "."],
            cwd=project,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr


RULES = [
    has_exactly_its_files,
    is_python_of_the_template,
    parses,
    has_no_jinja_left,
    has_tidy_texts,
    has_links_that_lead_somewhere,
    makes_its_targets,
    is_linted_and_formatted,
]
