"""The package is a stack: each layer imports only the layers that are listed for it."""

import ast
from pathlib import Path

import my_project as package
import pytest

PACKAGE = Path(package.__file__).parent
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "allowed": {"errors"},
    "structs": set(),
    "runs": {"errors"},
    "metrics": {"errors", "structs", "allowed"},
    "data": {"errors", "structs"},
    "model": {"errors", "structs", "metrics", "allowed"},
    "plots": set(),
    "wandb_server": {"errors"},
    "masking": set(),
    "report": {"errors", "runs", "masking"},
    "loggers": {"errors", "plots", "wandb_server", "masking"},
    "preemption": set(),
    "callbacks": {
        "errors",
        "structs",
        "metrics",
        "plots",
        "loggers",
        "report",
        "runs",
        "preemption",
        "masking",
    },
    "parser": {"errors", "allowed"},
    "console": set(),
    "resources": set(),
    "run_options": {"errors", "runs"},
    "compat": {"errors", "structs"},
    "predict": {"errors", "structs", "data", "model", "runs", "allowed"},
    "cli": {
        "errors",
        "allowed",
        "data",
        "metrics",
        "model",
        "loggers",
        "callbacks",
        "parser",
        "masking",
        "console",
        "runs",
        "compat",
    },
    "sweep": {"errors", "runs", "cli", "console", "parser", "report", "allowed"},
    "demo": {"errors", "cli", "data"},
    "commands": {
        "errors",
        "demo",
        "console",
        "predict",
        "report",
        "resources",
        "run_options",
        "cli",
        "sweep",
    },
    "__main__": {"__init__", "commands", "preemption"},
    # The project's own modules go below this line: what each may import.
}
FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layers_imported(path: Path) -> set[str]:
    """Names of the layers that the module at ``path`` imports."""
    folder = path.relative_to(PACKAGE).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parent = folder[: len(folder) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for name in names:
                first = (*parent, *str(name).split("."))[0]
                known = (PACKAGE / first).is_dir() or (PACKAGE / f"{first}.py").is_file()
                found.add(first if known else "__init__")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_lower_layers(path: Path) -> None:
    layer = layer_of(path)
    assert layer in MAY_IMPORT, f"{layer} is new: say in MAY_IMPORT what it may import"

    assert layers_imported(path) - {layer} <= MAY_IMPORT[layer]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_its_own_package_relatively(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []

        assert not [name for name in modules if name.split(".")[0] == PACKAGE.name]
