"""Each fault that the project's documents list has a test that exists, there or in tests/engine."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT, TEMPLATE

PAGES = ("docs/faults.md", "docs/slurm.md.jinja")


def rows_of(page: str) -> list[str]:
    """The lines of a page's table that name a fault."""
    lines = (TEMPLATE / page).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"\| (?!fault \||\*\*)", line)]


def names_in(path: str) -> set[str]:
    """Names of the tests in a file of the template, or else of the project."""
    file = ROOT / path if path.startswith("tests/engine/") else TEMPLATE / f"{path}.jinja"
    tree = ast.parse(re.sub(r"\{\{.*?\}\}", "package", file.read_text(encoding="utf-8")))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    "row", [row for page in PAGES for row in rows_of(page)], ids=lambda row: row.split("|")[1].strip()
)
def test_the_tests_that_prove_a_line_exist(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 4
    assert all(cells)
    named = re.findall(r"`([^`]*)::(\w+)`", cells[3])
    assert named
    assert re.sub(r"`[^`]*`|[, ]", "", cells[3]) == ""

    for path, name in named:
        assert name.startswith("test_")
        assert name in names_in(path), path


@pytest.mark.parametrize(
    ("page", "faults"),
    [
        (
            "docs/faults.md",
            {
                "kill -9, anywhere",
                "SIGTERM, SIGUSR1",
                "`last.ckpt` empty or cut short",
                "out of memory, GPU or not",
            }
            | {"a server that fails or dies in the middle", "a checkpoint that wants to run code"},
        ),
        ("docs/slurm.md.jinja", {"SLURM takes the machine"}),
    ],
)
def test_every_section_of_the_table_is_read(page: str, faults: set[str]) -> None:
    rows = rows_of(page)
    sections = [line for line in (TEMPLATE / page).read_text().splitlines() if line.startswith("| **")]

    assert faults <= {row.split("|")[1].strip() for row in rows}
    lines = [line for line in (TEMPLATE / page).read_text().splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + len(sections) + 2, "the header, and the line below it"


def test_the_page_says_where_the_tests_of_the_engine_are() -> None:
    text = " ".join((TEMPLATE / "docs/faults.md").read_text().split())

    assert "those in `tests/engine/` are in the template's repository" in text
    assert not Path(TEMPLATE / "tests/engine").exists()


def num_lines(*paths: Path) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_table_of_ideas_lists_those_that_are_tested_with_their_lines(page: str) -> None:
    counted = []
    for plain in sorted((ROOT / "tests/ideas").glob("*/plain.py")):
        files = [path for path in plain.parent.iterdir() if path.suffix in (".py", ".yaml") and path != plain]
        counted.append((num_lines(*files), num_lines(plain)))
    table = (ROOT / page).read_text(encoding="utf-8").partition("| idea |")[2].partition("\n\n")[0]
    numbers = [re.findall(r"\| (\d+) (?=\|)", line) for line in table.splitlines()[2:]]

    assert len(counted) >= 4
    assert sorted((int(row[0]), int(row[-1])) for row in numbers) == sorted(counted)
