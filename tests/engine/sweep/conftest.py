"""A search of seconds: a tiny network on the digits."""

import json
from pathlib import Path
from typing import Any

import pytest
from my_project.engine.sweep.plan import Plan
from sweep_support import LR, SMALL, WIDTH, MakePlan, MakeSweep


@pytest.fixture
def make_sweep(tmp_path: Path) -> MakeSweep:
    """Writes a search's config, by default a grid of 4; keyword arguments replace its keys."""

    def make(name: str = "small", **keys: Any) -> str:
        (tmp_path / "base.yaml").write_text(json.dumps(SMALL))
        config: dict[str, Any] = {
            "metric": "val/loss",
            "sampler": "grid",
            "base": ["base.yaml"],
            "space": {WIDTH: [2, 4], LR: [0.01, 0.1]},
        }
        config = {key: value for key, value in {**config, **keys}.items() if value is not None}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(config))
        return f"{name}.yaml"

    return make


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    """Makes the plan of a study in ``study/``, by default of three trials with a random ``x``."""

    def make(**fields: Any) -> Plan:
        defaults: dict[str, Any] = {
            "name": "study",
            "folder": str(tmp_path / "study"),
            "objectives": {"val/loss": "minimize"},
            "sampler": "random",
            "num_trials": 3,
            "pruner": "none",
            "storage": "sqlite",
            "space": {"x": {"uniform": [0, 1]}},
        }
        return Plan(**{**defaults, **fields})

    return make
