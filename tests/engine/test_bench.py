import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (ROOT / "bench").is_dir(), reason="the measurements are not here")
def test_each_point_runs() -> None:
    command = [sys.executable, "-m", "bench", "--smoke"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]
    rows = [line for line in ended.stdout.splitlines() if line.startswith("| (")]
    assert {row[2:5] for row in rows} == {"(a)", "(b)", "(c)", "(d)", "(e)", "(f)", "(g)"}
