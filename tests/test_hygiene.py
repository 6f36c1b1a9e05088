"""Jinja stays at the edges, and no file names a package index or the machine it was written on."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TEMPLATE, Render, files_in_git

MARKER = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
NAME = "{{ package_name }}"
PACKAGE = TEMPLATE / "{{package_name}}"
TESTS = sorted((TEMPLATE / "tests").rglob("*.py.jinja"))


def texts() -> dict[str, str]:
    found = {}
    for path in files_in_git():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text()
        except UnicodeDecodeError:
            continue
    assert len(found) > 30
    return found


def test_package_holds_no_marker() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert modules
    for path in modules:
        assert not MARKER.search(path.read_text()), path
    assert not list(PACKAGE.rglob("*.jinja"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(TEMPLATE)))
def test_tests_hold_the_package_name_in_imports_only(path: Path) -> None:
    source = path.read_text()
    lines = [line for line in source.splitlines() if MARKER.search(line)]

    assert lines, "without a marker the suffix .jinja is too much"
    for line in lines:
        assert re.match(rf"\s*(from|import) {re.escape(NAME)}[\w.]*( |$)", line), line
    assert set(MARKER.findall(source)) == {NAME}
    ast.parse(source.replace(NAME, "package_name"))


def test_unrendered_tests_hold_no_marker() -> None:
    for path in (TEMPLATE / "tests").rglob("*.py"):
        assert not MARKER.search(path.read_text()), path


def test_template_knows_no_project_by_its_name() -> None:
    for path in files_in_git(TEMPLATE):
        if path.suffix not in (".npz", ".gz"):
            assert not re.search("my.project", path.read_text(), re.IGNORECASE), path


def test_jinja_budget() -> None:
    elsewhere = {
        path.relative_to(TEMPLATE): len(MARKER.findall(path.read_text()))
        for path in TEMPLATE.rglob("*.jinja")
        if path not in TESTS
    }

    assert sum(elsewhere.values()) <= 150, elsewhere  # most of them the package's name in documents


def test_optional_parts_stand_in_one_table() -> None:
    config = yaml.safe_load((ROOT / "copier.yml").read_text())
    conditional = [path for path in TEMPLATE.rglob("*") if "{%" in path.name]

    assert not conditional
    for row in config["_exclude"]:
        patterns = re.sub("{%.*?%}", "", row.replace(NAME, PACKAGE.name)).strip()
        assert patterns, row
        if patterns.startswith("/"):
            assert list(TEMPLATE.glob(f"{patterns[1:]}*")), f"{row} excludes nothing"


def test_no_file_names_a_package_index() -> None:
    # Joined from parts, or this file itself would name them.
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch", "org"))
    ]
    hosts += [".".join(parts) for parts in (("npmjs", "org"), ("anaconda", "org"), ("astral", "sh"))]
    for name, text in texts().items():
        for host in hosts:
            assert host not in text, f"{name} names {host}"
        assert not re.search(
            r"(--index-url|extra-index-url|\[\[tool\.uv\.index\]\])", text
        ) or name.startswith("tests/")


def test_no_file_names_a_path_of_a_machine() -> None:
    places = [str(ROOT) + "/", str(ROOT.parent) + "/", str(Path.home()) + "/"]
    pattern = re.compile(r"/(home|Users)/[a-z]|[A-Z]:\\Users")
    for name, text in texts().items():
        for place in places:
            assert place not in text, f"{name} names {place}"
        assert not pattern.search(text) or name == "tests/test_hygiene.py", name


def test_stolen_releases_are_kept_out(render: Render) -> None:
    project = tomllib.loads((render() / "pyproject.toml").read_text())
    dependencies = project["project"]["dependencies"]

    assert "lightning!=2.6.2,!=2.6.3" in project["tool"]["uv"]["constraint-dependencies"]
    assert not [name for name in dependencies if re.match(r"lightning\b(?!-)", name)]
    for dependency in dependencies:
        assert re.search(r">=[\d.]+,<\d+$", dependency), f"{dependency} needs a lower and an upper bound"


def test_template_is_linted_by_the_rules_of_the_project(render: Render) -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    theirs = tomllib.loads((render() / "pyproject.toml").read_text())["tool"]["ruff"]

    ours["lint"]["per-file-ignores"].pop("template/*package_name*/**")
    assert ours == theirs
    assert "ignore" not in theirs["lint"]


def test_template_and_tests_are_clean() -> None:
    for command in (["check"], ["format", "--check"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_our_workflow_is_valid() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.circle-ci"]
    result = subprocess.run([*command, ".circleci/config.yml"], cwd=ROOT, capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr


def test_workflow_is_pinned_and_may_only_read() -> None:
    text = (TEMPLATE / ".github/workflows/ci.yml").read_text()
    workflow = yaml.safe_load(text)

    assert workflow["permissions"] == {"contents": "read"}
    actions = re.findall(r"uses: (\S+)", text)
    assert actions
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in actions)
    assert "${{ github.event" not in text


@pytest.mark.parametrize(
    "path",
    [".circleci/config.yml", "template/.circleci/config.yml", "template/.github/workflows/ci.yml"],
)
def test_workflows_run_targets_that_exist(path: str) -> None:
    makefile = ROOT / "Makefile" if path.startswith(".") else TEMPLATE / "Makefile.jinja"
    targets = set(re.findall(r"^([a-z]+):", makefile.read_text(), re.MULTILINE))
    used = re.findall(r"(?:run|command): make (\w+)", (ROOT / path).read_text())

    assert used
    assert set(used) <= targets


def test_the_search_for_wandb_is_our_search(render: Render) -> None:
    configs = render() / "configs"
    ours = yaml.safe_load((configs / "sweep.yaml").read_text())["space"]
    theirs = yaml.safe_load((configs / "sweep_wandb.yaml").read_text())["parameters"]

    assert set(ours) == set(theirs)


def test_documents_keep_their_size() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 110
    assert len((TEMPLATE / "AGENTS.md.jinja").read_text().splitlines()) <= 12


# A make that prints its arguments and what it sees.
SEEING_MAKE = """\
#!/bin/sh
echo "asked: $*"
echo "home: $(ls -A "$HOME") $(ls -A "$HOME/.config")"
for tool in python3 git awk uv copier ruff; do command -v "$tool" >/dev/null && echo "has: $tool"; done
python3 -c 'import sys; print("python:", sys.executable)'
exit 3
"""


def test_integration_server_runs_the_test_command_of_the_readme_as_on_a_fresh_machine(tmp_path: Path) -> None:
    tools, home, script = tmp_path / "bin", tmp_path / "home", tmp_path / "clone" / ".ci" / "run"
    for folder in (tools, home / ".config" / "pip", home / ".config" / "git", script.parent):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", script)
    for name in ("make", "uv", "copier", "ruff"):
        (tools / name).write_text(SEEING_MAKE)
        (tools / name).chmod(0o755)
    shim = f'#!/bin/sh\n[ "$HOME" = "{home}" ] && exec "{sys._base_executable}" "$@"\n'
    (tools / "python3").write_text(shim)
    (tools / "python3").chmod(0o755)
    env = {"HOME": str(home), "PATH": f"{tools}:{os.environ['PATH']}", "CI": "true"}

    done = subprocess.run(["bash", script], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines() == [
        "asked: test",
        "home: .config pip",
        "has: python3",
        "has: git",
        "has: awk",
        f"python: {sys._base_executable}",
    ]
    assert not list((tmp_path / "clone" / "build").iterdir()), "the home is left behind"
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    assert "\nmake test\n" in (ROOT / "README.md").read_text()


def test_workflow_has_no_known_hole(render: Render) -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    options = ["--offline", "--no-progress", "--quiet", "--persona=pedantic"]
    workflow = render(ci="github") / ".github" / "workflows" / "ci.yml"

    result = subprocess.run([zizmor, *options, workflow], capture_output=True, text=True)

    assert result.returncode == 0, result.stdout + result.stderr
