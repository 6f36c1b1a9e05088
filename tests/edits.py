"""What people change in their project, and what a later release of the template changes."""

import re
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path], None]
LOCK = "# written by a tool of the project\n"


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) >= 1, f"{file.name} has no {old!r}"
    file.write_text(text.replace(old, new, 1))


def _after_line(file: Path, words: str, added: str) -> None:
    lines = file.read_text().splitlines(keepends=True)
    (index,) = [index for index, line in enumerate(lines) if words in line]
    lines.insert(index + 1, added)
    file.write_text("".join(lines))


def _append(file: Path, added: str) -> None:
    file.write_text(file.read_text() + added)


def _add_dependencies(project: Path) -> None:
    _after_line(project / "pyproject.toml", "own dependencies go below", '    "einops>=0.8,<1",\n')
    _after_line(project / "pyproject.toml", "own tools go below", '    "ipython>=9,<10",\n')
    _after_line(project / "pyproject.toml", "own rules go below", '    "PIE",\n')


def _has_dependencies(project: Path) -> None:
    text = (project / "pyproject.toml").read_text()
    assert all(words in text for words in ('"einops>=0.8,<1"', '"ipython>=9,<10"', '"PIE"'))


MODULE = '''"""A model of our own."""

from .resnet import ResNet


class Mine(ResNet):
    """The shipped network under another name."""
'''
TEST = """from my_project.model import Mine


def test_is_a_network() -> None:
    assert Mine(num_classes=3).data.num_outputs == 3
"""


def _add_module(project: Path) -> None:
    (project / "my_project/model/mine.py").write_text(MODULE)
    (project / "tests/model/test_mine.py").write_text(TEST)


def _has_module(project: Path) -> None:
    assert (project / "my_project/model/mine.py").read_text() == MODULE
    assert (project / "tests/model/test_mine.py").read_text() == TEST


def _export_module(project: Path) -> None:
    init = project / "my_project/model/__init__.py"
    _replace(init, "from .network import", "from .mine import Mine as Mine\nfrom .network import")


def _exports_module(project: Path) -> None:
    assert "from .mine import Mine" in (project / "my_project/model/__init__.py").read_text()


def _change_config(project: Path) -> None:
    _replace(project / "configs/image_folder.yaml", "batch_size: ", "batch_size: 16 # was ")
    _replace(project / "configs/sweep.yaml", "trials: 40", "trials: 10")
    (project / "configs/mine.yaml").write_text((project / "configs/fake.yaml").read_text())


def _has_changed_config(project: Path) -> None:
    assert "batch_size: 16 # was " in (project / "configs/image_folder.yaml").read_text()
    assert "trials: 10" in (project / "configs/sweep.yaml").read_text()
    assert (project / "configs/mine.yaml").exists()


def _add_target(project: Path) -> None:
    _after_line(project / "Makefile", "own targets go below", "\nhello: ## greet\n\t@echo hello\n")


def _has_target(project: Path) -> None:
    assert "\nhello: ## greet\n\t@echo hello\n" in (project / "Makefile").read_text()


DEMO = (
    "configs/cifar10.yaml",
    "my_project/data/cifar10.py",
    "my_project/demo.py",
    "tests/data/test_cifar10.py",
    "tests/test_demo.py",
)


def _delete_demo(project: Path) -> None:
    for name in DEMO:
        (project / name).unlink()
    faults = project / "docs/faults.md"
    faults.write_text(re.sub(r"^.*test_cifar10\.py.*\n", "", faults.read_text(), flags=re.MULTILINE))


def _has_no_demo(project: Path) -> None:
    assert not [name for name in DEMO if (project / name).exists()]
    assert "test_cifar10" not in (project / "docs/faults.md").read_text()


def _lock(project: Path) -> None:
    (project / "uv.lock").write_text(LOCK)


def _has_lock(project: Path) -> None:
    assert (project / "uv.lock").read_text() == LOCK


def _write_changelog(project: Path) -> None:
    _replace(project / "CHANGELOG.md", "- The project, from a template.", "- A model of our own.")


def _has_changelog(project: Path) -> None:
    assert "- A model of our own." in (project / "CHANGELOG.md").read_text()


def _write_readme(project: Path) -> None:
    _replace(project / "README.md", "\nYou need Python", "\nIt finds plankton.\n\nYou need Python")
    _append(project / ".gitignore", "/notebooks/\n")


def _has_readme(project: Path) -> None:
    assert "\nIt finds plankton.\n" in (project / "README.md").read_text()
    assert (project / ".gitignore").read_text().endswith("/notebooks/\n")


EDITS: dict[str, tuple[Edit, Edit]] = {
    "added dependencies": (_add_dependencies, _has_dependencies),
    "own module": (_add_module, _has_module),
    "own module by its name alone": (_export_module, _exports_module),
    "changed config": (_change_config, _has_changed_config),
    "own target": (_add_target, _has_target),
    "deleted demo": (_delete_demo, _has_no_demo),
    "own lock": (_lock, _has_lock),
    "own changelog": (_write_changelog, _has_changelog),
    "own readme": (_write_readme, _has_readme),
}


def next_release(template: Path) -> None:
    """A possible next release: each place that people extend changes next to what they add there."""
    package = template / "{{package_name}}"
    project = template / "pyproject.toml.jinja"
    text = project.read_text()
    (last,) = re.findall(r'^    "torchvision.*\n', text, re.MULTILINE)
    text = text.replace(last, last + '    "packaging>=24",\n')
    (last,) = re.findall(r'^    "ruff>=.*\n', text, re.MULTILINE)
    text = text.replace(last, last + '    "pyyaml>=6,<7",\n')
    project.write_text(text)
    makefile = template / "Makefile.jinja"
    _replace(makefile, "-include make/*.mk", "later: ## come\n\t@true\n\n-include make/*.mk")
    config = template / "configs/digits.yaml.jinja"
    config.write_text(re.sub(r"max_epochs: .*", "max_epochs: 21", config.read_text()))
    for name in ("configs/image_folder.yaml.jinja", "configs/cifar10.yaml.jinja"):
        _append(template / name, "# A later release explains more.\n")
    (package / "later.py").write_text('"""A module of a later release."""\n')
    for name in ("data/cifar10.py", "demo.py", "engine/cli/run.py"):
        _append(package / name, "\n\nLATER = 1\n")
    _replace(package / "model/__init__.py", '"""Models: ', '"""Networks: ')
    _replace(template / "README.md.jinja", "## Layout\n", "## Later\n\nMore is explained.\n\n## Layout\n")
    _replace(template / "CHANGELOG.md.jinja", "from a template.", "from a later template.")
    _replace(template / ".gitignore", "/build/\n", "/build/\n/later/\n")
    (template / "AGENTS.md.jinja").unlink()
