"""The two demos that train for half a minute reach their bars; the others have tests of their own."""

from pathlib import Path

import my_project
import pytest
from task_runs import fit_config, numbers_of

CONFIGS = Path(my_project.__file__).parents[1] / "configs"
pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("config", "key", "least"),
    [("syllables.yaml", "test/accuracy", 0.92), ("masks.yaml", "test/miou", 0.85)],
)
def test_a_demo_reaches_its_bar(config: str, key: str, least: float) -> None:
    run = fit_config(CONFIGS / config, "demo", "--trainer.accelerator=cpu", "--trainer.logger=false")

    assert numbers_of(run)[-1][key] >= least
    assert "test/worst" in (run / "report.html").read_text()
