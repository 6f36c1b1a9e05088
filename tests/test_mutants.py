from collections import Counter
from pathlib import Path

import pytest
from mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "template" / "{{package_name}}"
ROOMS = {
    "structs": 5,
    "model": 5,
    "data": 8,
    "metrics": 4,
    "callbacks": 4,
    "engine/tasks": 8,
    "engine/config": 1,
    "engine/data": 8,
    "engine/metrics": 5,
    "engine/module": 8,
    "engine/instruments": 4,
    "engine/resume": 8,
    "engine/loggers": 3,
    "engine/runs": 4,
    "engine/tables": 4,
    "engine/texts": 3,
    "engine/masks": 2,
    "engine/graph": 3,
    "engine/stages": 4,
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.why)
def test_a_mutant_changes_one_place(mutant: Mutant) -> None:
    text = (PACKAGE / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.why)
def test_the_tests_of_a_mutant_exist(mutant: Mutant) -> None:
    for path in mutant.tests:
        here = ROOT / path
        there = ROOT / "template" / f"{path}.jinja" if path.endswith(".py") else ROOT / "template" / path
        assert here.exists() if path.startswith("tests/engine") else there.exists()


def test_each_room_has_its_mutants() -> None:
    counts = Counter(mutant.file.rpartition("/")[0] for mutant in MUTANTS)
    assert len(MUTANTS) >= 60
    assert {room: least for room, least in ROOMS.items() if counts[room] < least} == {}
