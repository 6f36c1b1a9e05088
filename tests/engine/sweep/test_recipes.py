"""The shipped searches, of this project and for other engines, name options that exist."""

import itertools
from pathlib import Path

import my_project as package
import pytest
import yaml
from my_project.engine.errors import InputError
from my_project.engine.sweep.plan import Plan, read_config
from my_project.engine.sweep.prepare import complete_plan
from my_project.engine.sweep.space import as_options
from my_project.engine.sweep.trial import Report, fit, make_parser, read_metric
from sweep_support import LR, MakeSweep

PROJECT = Path(package.__file__).parents[1]
CONFIGS = PROJECT / "configs"


def test_the_shipped_search_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    arguments, base = read_config(CONFIGS / "sweep.yaml")

    plan = complete_plan(
        Plan(name="sweep", folder="", fit=[f"--config={path}" for path in base], **arguments), num_workers=2
    )

    configs = [yaml.safe_load(Path(path).read_text()) for path in base]
    assert plan.num_epochs == configs[-1]["trainer"]["max_epochs"]
    assert plan.root == Path("runs/sweeps/sweep")


def test_the_search_of_wandb_names_options_that_exist() -> None:
    recipe = yaml.safe_load((CONFIGS / "sweep_wandb.yaml").read_text())
    parameters = recipe["parameters"]
    ends = {key: entry.get("values") or [entry["min"], entry["max"]] for key, entry in parameters.items()}
    options = [f"--config={CONFIGS / 'digits.yaml'}"]
    parse = make_parser()

    for points in zip(*map(itertools.cycle, ends.values()), range(3), strict=False):
        parse([*options, *as_options(dict(zip(ends, points, strict=False)))])

    assert recipe["command"][:4] == ["python", "-m", package.__name__, "fit"]
    assert recipe["command"][-1] == "${args}"
    with pytest.raises(InputError, match="expected an option that exists"):
        parse([*options, "--model.init_args.widht=3"])


def test_a_trial_is_a_function_for_other_engines(make_sweep: MakeSweep) -> None:
    make_sweep()
    seen: dict[int, float] = {}

    fit(["--config=base.yaml", *as_options({LR: 0.05})], Path("ray"), Report("val/loss", seen.__setitem__))

    assert list(seen) == [1, 2]
    assert list(seen.values()) == pytest.approx(read_metric(Path("ray"), "val/loss"))
