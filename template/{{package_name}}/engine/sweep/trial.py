"""One trial: one call of ``fit``, in this process, or in its own if it uses several devices or stages."""

import csv
import gc
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import TensorBoardLogger

from .. import PACKAGE
from ..cli.lightning import CLI
from ..config.linking import Linker
from ..errors import InputError
from ..runs.folder import CHECKPOINTS, CONFIG, LAST, METRICS, RUN_VARIABLE, STAGES
from ..stages.asked import take_apart
from ..stages.checks import make_linker, parse_stages, try_stages

POLL_S = 1.0
STOP_S = 30.0
OnEpoch = Callable[[int, float], None]


class Report(Checkpoint):
    """Calls ``on_epoch`` with the epoch, from 1, and the value of a metric after each epoch.

    It is a Checkpoint because Lightning calls those after the module has logged its metrics of the epoch.
    """

    def __init__(self, metric: str, on_epoch: OnEpoch) -> None:
        self.metric, self.on_epoch = metric, on_epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (value := trainer.callback_metrics.get(self.metric)) is not None:
            self.on_epoch(trainer.current_epoch + 1, float(value))


class TrialCLI(CLI):
    """``fit`` with a ``Report``."""

    def __init__(self, args: list[str], report: Report, **options: Any) -> None:
        self.report = report
        super().__init__(args, **options)

    def after_instantiate_classes(self) -> None:
        super().after_instantiate_classes()
        callbacks: list[Any] = self.trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
        callbacks.append(self.report)


def make_parser() -> Callable[[list[str]], Namespace]:
    """A function from the options of ``fit`` to its config, which makes no objects and trains nothing.

    With several stages, it checks all of them and returns the config of the last.
    """
    linkers = defaultdict[int, Linker](make_linker)

    def parse(options: list[str]) -> Namespace:
        asked = take_apart(options)
        return parse_stages(asked.begin(), linkers)[-1] if asked.has_stages else linkers[0].parse(options)

    return parse


def find_logged_keys(options: list[str]) -> list[str]:
    """Train and validate on one batch, and return the keys logged (in the last stage): possible objectives.

    Raises:
        InputError: ``fit`` cannot use these options.
    """
    asked = take_apart(options)
    if asked.has_stages:
        plan = asked.begin()
        return try_stages(plan, plan.read(), allow=asked.allow)
    with tempfile.TemporaryDirectory() as folder:
        dry = ["--trainer.fast_dev_run=1", "--trainer.devices=1", "--trainer.strategy=auto"]
        cli = CLI(["fit", *options, *dry], run_folder=Path(folder))
    return sorted(cli.trainer.callback_metrics)


def fit(options: list[str], run: Path, report: Report) -> None:
    """Run ``fit`` in this process, from the run's last checkpoint if there is one."""
    last = last_checkpoint(run)
    run.mkdir(parents=True, exist_ok=True)
    try:
        TrialCLI(["fit", *options], report, run_folder=run, ckpt_path=last)
    finally:
        if torch.cuda.is_available():  # else this trial keeps memory that the next one needs
            gc.collect()
            torch.cuda.empty_cache()


def fit_apart(options: list[str], run: Path, report: Report, lock: int) -> None:
    """Run ``fit`` in a process of its own, from the run's last checkpoint if there is one.

    Args:
        options: Options of ``fit``.
        run: The run's folder.
        report: Called with each value that appears in ``metrics.csv``; its errors end the process.
        lock: File descriptor that the process inherits, and keeps open as long as it lives.

    Raises:
        RuntimeError: The process ended with an error.
    """
    resumed = ["--resume", str(run)] if can_go_on(run) else options
    command = [sys.executable, "-m", PACKAGE, "fit", *resumed]
    num_seen = len(read_metric(run, report.metric))
    environment = os.environ | {RUN_VARIABLE: str(run.resolve())}
    said = run / "output.txt"
    with said.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, env=environment, pass_fds=[lock], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                time.sleep(POLL_S)
                values = read_metric(run, report.metric)
                for number, value in enumerate(values[num_seen:], start=num_seen + 1):
                    report.on_epoch(number, value)
                num_seen = len(values)
        finally:
            _stop(process)
    if process.returncode:
        lines = said.read_text("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else f"it ended with status {process.returncode}"
        raise RuntimeError(last.removeprefix("error: "))


def prepare_folder(run: Path) -> None:
    """Make a run's folder, empty unless it holds a checkpoint to resume from."""
    if not can_go_on(run):
        shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True, exist_ok=True)


def can_go_on(run: Path) -> bool:
    """Whether there is a checkpoint to resume from, of the run or of a stage that has ended."""
    return last_checkpoint(run) is not None or any((run / STAGES).glob(f"*/{CHECKPOINTS}/{LAST}"))


def last_checkpoint(run: Path) -> Path | None:
    """The checkpoint to resume from, if there is one."""
    path = run / CHECKPOINTS / LAST
    return path if path.is_file() and (run / CONFIG).is_file() else None


def read_metric(run: Path, metric: str) -> list[float]:
    """All values of a metric that a run logged, in order; empty if there are none."""
    try:
        with (run / METRICS).open(newline="", encoding="utf-8") as file:
            return [float(row[metric]) for row in csv.DictReader(file) if row.get(metric)]
    except OSError:
        return []


def last_values(run: Path, metrics: list[str]) -> list[float]:
    """The last value of each metric.

    Raises:
        InputError: A metric was not logged, or its value is not finite.
    """
    values = []
    for metric in metrics:
        if not (logged := read_metric(run, metric)):
            raise InputError(f"expected {metric} to be logged, got no value of it")
        check_finite(metric, logged[-1])
        values.append(logged[-1])
    return values


def check_finite(metric: str, value: float) -> None:
    """Refuse a NaN or infinite value, by which trials cannot be compared."""
    if not math.isfinite(value):
        raise InputError(f"expected a finite {metric}, got {value}")


def log_hparams(run: Path, point: dict[str, Any], metrics: list[str]) -> None:
    """Write what TensorBoard's tab "hparams" shows, unless a logger of the run has done so."""
    values = {metric: logged[-1] for metric in metrics if (logged := read_metric(run, metric))}
    if (run / "tensorboard").exists() or not values:
        return
    logger = TensorBoardLogger(run, name="tensorboard", version="", default_hp_metric=False)
    shown = {
        key: value if isinstance(value, bool | int | float | str) else str(value)
        for key, value in point.items()
    }
    logger.log_hyperparams(shown, values)
    logger.finalize("success")


def _stop(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
