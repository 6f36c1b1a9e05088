"""(g) The cost of a search besides its trials, and the gain of a second worker."""

import contextlib
import subprocess
import sys
from datetime import datetime
from functools import partial
from itertools import count
from statistics import median
from typing import Any

from .project import HOME, RUNS, size
from .ratio import Ratio, quiet_cost, quiet_ratios
from .turns import alternate, lap

NUM_EPOCHS, NUM_TURNS, NUM_TRIALS = size(10, smoke=1), size(7, smoke=1), size(8, smoke=2)
NUM_SEARCHES = size(2, smoke=1)  # with each number of workers
FIT = ["--config=configs/digits.yaml", f"--trainer.max_epochs={NUM_EPOCHS}", "--trainer.logger=false"]
SPACE = {"model.init_args.optimizer.init_args.weight_decay": {"log": [1e-5, 1e-2]}}
SEARCH = f"""\
metric: val/loss
sampler: random
trials: {NUM_TRIALS}
base: [configs/digits.yaml]
space: {SPACE}
"""


def measure() -> list[Ratio]:
    """Seconds of a trial by the clock, in the quietest turn; trials per minute of one and two workers."""
    names = ("bare", "trial", "storage")
    costs = alternate({name: partial(run_trials, name) for name in names}, num_turns=NUM_TURNS)
    bare, trial, storage = ([cost.wall_s for cost in costs[name]] for name in names)
    rates = [(trials_per_minute(1), trials_per_minute(2)) for _ in range(NUM_SEARCHES)]
    return [
        Ratio(
            name="(g) a trial of a search / the same `fit`, in one process",
            values=quiet_ratios(trial, bare, period=1),
            value=quiet_cost(trial, 1) / quiet_cost(bare, 1),
            at_most=1.05,
            note=f"{min(trial):.2f} / {min(bare):.2f} s, of which SQLite {1000 * median(storage):.0f} ms",
        ),
        Ratio(
            name="(g) two workers / one, trials per minute",
            values=[two / one for one, two in rates],
            at_least=1.6,
            note=f"{max(two for _, two in rates):.1f} / {max(one for one, _ in rates):.1f}",
        ),
    ]


def run_trials(name: str) -> None:
    """Run trials forever: of a search, bare, or without any training."""
    from my_project.engine.cli.console import plain_output
    from my_project.engine.cli.lightning import CLI
    from my_project.engine.sweep.dead import retry_dead
    from my_project.engine.sweep.space import as_options
    from my_project.engine.sweep.study import Study
    from my_project.engine.sweep.worker import run_trial

    with contextlib.chdir(HOME), contextlib.closing(Study(_plan(name), create=True)) as study, plain_output():
        study.enqueue()
        for number in count():
            lap(number)
            if name == "bare":
                run = RUNS / name / f"{number}"
                run.mkdir(parents=True)
                CLI(["fit", *FIT, *as_options(dict.fromkeys(SPACE, 1e-3))], run_folder=run)
                continue
            retry_dead(study)
            claim = study.claim()
            assert claim is not None
            if name == "trial":
                run_trial(study, claim)
            else:
                with study.alive(claim):
                    for key, entry in study.plan.entries.items():
                        entry.suggest(claim.trial, key)
                    study.complete(claim, [1.0])


def trials_per_minute(num_workers: int) -> float:
    """Trials per minute of the command, from the start of the first trial to the end of the last."""
    from my_project.engine.sweep.plan import load_plan
    from my_project.engine.sweep.study import Study

    name = f"workers-{num_workers}-{datetime.now():%H%M%S}"
    config = RUNS / f"{name}.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(SEARCH)
    command = [sys.executable, "-m", "my_project", "sweep", "--config", str(config), *FIT[1:]]
    options = [f"--workers={num_workers}", f"--trainer.default_root_dir={RUNS}"]
    subprocess.run([*command, *options], cwd=HOME, check=True, capture_output=True)
    with contextlib.closing(Study(load_plan(RUNS / "sweeps" / name))) as study:
        trials: list[Any] = study.trials()
    began = min(trial.datetime_start for trial in trials)
    ended = max(trial.datetime_complete for trial in trials)
    return 60 * len(trials) / (ended - began).total_seconds()


def _plan(name: str) -> Any:
    from my_project.engine.sweep.plan import Plan

    return Plan(
        name=name,
        folder=str(RUNS / "sweeps" / name),
        objectives={"val/loss": "minimize"},
        sampler="random",
        num_trials=NUM_TURNS + 2,
        pruner="none",
        storage="sqlite",
        space=SPACE,
        fit=FIT,
    )
