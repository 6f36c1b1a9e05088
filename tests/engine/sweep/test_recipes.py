"""The shipped searches, of this project and for other engines, name options that exist."""

import itertools
import json
import re
from pathlib import Path

import my_project as package
import pytest
import yaml
from my_project.engine.errors import InputError
from my_project.engine.sweep.plan import Plan, read_config
from my_project.engine.sweep.prepare import complete_plan
from my_project.engine.sweep.space import as_options
from my_project.engine.sweep.trial import Report, fit, make_parser, read_metric
from sweep_support import LR, SMALL, MakeSweep

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
    with pytest.raises(InputError, match="no such option"):
        parse([*options, "--model.init_args.widht=3"])


def test_the_loop_over_a_grid_runs_as_the_page_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    page = (PROJECT / "docs/sweeps.md").read_text()
    (loop,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "grid(" in code)
    (config,) = re.findall(r"--config=(\S+\.yaml)", loop)
    Path(config).parent.mkdir()
    Path(config).write_text(json.dumps(SMALL))

    exec(loop, {})

    runs = [next(Path("runs").glob(f"*-point-{number}")) for number in range(2)]
    said = capsys.readouterr().out.splitlines()
    for run, size, line in zip(runs, (64, 128), said, strict=True):
        made = yaml.safe_load((run / "config.yaml").read_text())
        assert made["data"]["init_args"]["batch_size"] == size
        (loss,) = read_metric(run, "val/loss")
        assert line.startswith(f"{{'data.init_args.batch_size': {size}, 'trainer.max_epochs': 1}} ")
        assert float(line.split()[-1]) == pytest.approx(loss)


def test_a_trial_is_a_function_for_other_engines(make_sweep: MakeSweep) -> None:
    make_sweep()
    seen: dict[int, float] = {}

    fit(["--config=base.yaml", *as_options({LR: 0.05})], Path("ray"), Report("val/loss", seen.__setitem__))

    assert list(seen) == [1, 2]
    assert list(seen.values()) == pytest.approx(read_metric(Path("ray"), "val/loss"))
