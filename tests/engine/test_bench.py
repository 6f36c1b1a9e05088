import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POINTS = {
    "training": "a",
    "overhead": "b",
    "data": "c",
    "usual": "d",
    "startup": "e",
    "instruments": "f",
    "sweep": "g",
    "graph": "n",
    "photos": "hijk",
}
HALVES = [[point for point in POINTS if (point in ("startup", "sweep")) == slow] for slow in (True, False)]
pytestmark = pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="the measurements are not here")


@pytest.mark.parametrize("points", HALVES, ids="-".join)
def test_each_point_runs(points: list[str]) -> None:
    command = [sys.executable, "-m", "bench", "--smoke", *points]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]
    rows = [line for line in ended.stdout.splitlines() if line.startswith("| (")]
    assert {row[2:5] for row in rows} == {f"({letter})" for point in points for letter in POINTS[point]}


def test_the_points_are_those_of_the_command() -> None:
    told = subprocess.check_output([sys.executable, "-m", "bench", "--help"], cwd=ROOT, text=True)
    (listed,) = re.findall(r"of ([a-z, \n]+); default", told)
    assert set(re.split(r",\s+", listed)) == set(POINTS)
