"""A newcomer can read the whole package: the lines of code of its parts have limits."""

import ast
from pathlib import Path

import pytest
from conftest import TEMPLATE

PACKAGE = TEMPLATE / "{{package_name}}"
# Beside the core, which makes runs: what looks at them, what searches, what stands between them and mishaps.
PARTS = {
    "instruments": ({"plots", "wandb_server", "report", "loggers", "callbacks"}, 2000),
    "search": ({"sweep"}, 1500),
    "guards": ({"allowed", "masking", "resources", "preemption"}, 350),
}
CORE_LIMIT = 2500
FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def code_lines(path: Path) -> int:
    """Lines that are neither blank, nor a comment, nor part of a docstring."""
    text = path.read_text()
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            documentation |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in documentation
        for number, line in lines
    )


@pytest.mark.parametrize("part", ["core", *PARTS])
def test_a_newcomer_can_read_the_whole_package(part: str) -> None:
    others = {layer for layers, _ in PARTS.values() for layer in layers}
    core = {layer_of(path) for path in FILES} - others
    layers, limit = PARTS.get(part, (core, CORE_LIMIT))

    lines = sum(code_lines(path) for path in FILES if layer_of(path) in layers)

    assert limit / 3 < lines <= limit
