import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from my_project.engine.errors import InputError
from my_project.engine.sweep.plan import load_plan, read_config
from sweep_support import LR, MakePlan, MakeSweep


def test_a_config_is_read(make_sweep: MakeSweep) -> None:
    path = Path(make_sweep(sampler="tpe", trials=8, pruner="median", direction="maximize"))

    arguments, base = read_config(path)

    assert base == ["base.yaml"]
    assert arguments["objectives"] == {"val/loss": "maximize"}
    assert (arguments["sampler"], arguments["num_trials"], arguments["pruner"]) == ("tpe", 8, "median")
    assert arguments["storage"] == "sqlite"


def test_a_grid_knows_its_size_and_several_objectives_their_directions(make_sweep: MakeSweep) -> None:
    metric = [{"metric": "val/loss"}, {"metric": "val/accuracy", "direction": "maximize"}]

    arguments, _ = read_config(Path(make_sweep(metric=metric)))

    assert arguments["num_trials"] == 4
    assert arguments["objectives"] == {"val/loss": "minimize", "val/accuracy": "maximize"}


def test_numbers_may_be_written_without_a_point(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("{metric: a, sampler: random, trials: 1, base: [b], space: {lr: {log: [1e-5, 1E-1]}}}")

    assert read_config(path)[0]["space"] == {"lr": {"log": [1e-5, 1e-1]}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metrics": "val/loss"}, "expected keys of metric, direction"),
        ({"metric": None}, "metric: expected a logged key"),
        ({"metric": []}, "metric: expected a logged key"),
        ({"metric": ["val/loss"]}, "metric: expected a logged key with direction"),
        (
            {"metric": [{"metric": "a"}], "direction": "minimize"},
            "metric: expected a logged key with direction",
        ),
        ({"metric": [{"metric": "a"}, {"metric": "a"}]}, "different metrics"),
        ({"metric": [{"metric": "a"}, {"metric": "b"}], "pruner": "median"}, "pruner: expected none"),
        ({"direction": "min"}, "direction: expected one of minimize, maximize, got 'min'"),
        ({"sampler": "bayes"}, "sampler: expected one of tpe, random, grid, got 'bayes'"),
        ({"pruner": "sha"}, "pruner: expected one of hyperband, asha, median, none, got 'sha'"),
        ({"sampler": "tpe"}, "trials: expected a whole number of at least 1, got None"),
        ({"sampler": "random", "trials": 0}, "trials: expected a whole number of at least 1, got 0"),
        ({"storage": "journal"}, "storage: expected sqlite or a database URL, got 'journal'"),
        ({"base": None}, "base: expected configs of fit"),
        ({"base": []}, "base: expected configs of fit"),
        ({"space": None}, "space: expected options of fit"),
        ({"space": {LR: []}}, "at least one choice"),
        ({"space": {LR: {"log": [1, 2]}}}, "expected a list for a grid"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(
    make_sweep: MakeSweep, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_config(Path(make_sweep(**keys)))


@pytest.mark.parametrize("content", ["[1", "- a", "", None])
def test_what_is_no_config_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(InputError, match=r"expected a sweep's config, got .*x\.yaml"):
        read_config(path)


def test_a_plan_is_kept_for_its_owner_alone(make_plan: MakePlan) -> None:
    plan = make_plan(storage="postgresql+psycopg://me:secret@host/db")

    plan.save()

    assert asdict(load_plan(plan.root)) == asdict(plan)
    assert stat.S_IMODE((plan.root / "study.json").stat().st_mode) == 0o600
