"""``lr_find`` and ``batch_size_find``: a few steps of ``fit``, from which they suggest an option."""

import logging
import os
from pathlib import Path

import torch
from jsonargparse import Namespace
from matplotlib.figure import Figure
from pytorch_lightning.tuner.tuning import Tuner

from . import PACKAGE
from .cli.lightning import CLI
from .cli.trying import try_out
from .contracts import DataModule
from .data import BatchedData
from .errors import InputError
from .foreign import callbacks_of
from .module import Module
from .runs.files import replacing

NUM_STEPS = 100
NUM_SKIPPED = 10  # first steps, in which the loss is hardly smoothed
LARGEST = 8192  # largest batch size to try: with more, a CPU would only be slow
# Options of the Trainer that replace the user's.
ENDLESS = ["max_epochs=-1", "max_steps=-1", "num_sanity_val_steps=0", "logger=false", "callbacks=[]"]
PICTURE = "lr_find.png"
log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Run ``lr_find`` or ``batch_size_find``; the options are those of ``fit``.

    Raises:
        InputError: Nothing was found; or as for ``fit``.
    """
    return try_out(FindRate if args[0] == "lr_find" else FindBatchSize, args, ENDLESS)


class Find(CLI):
    """``fit`` that only tries, and leaves no run that could be resumed."""

    def execute(self, subcommand: str) -> None:
        """Log the options that were found."""
        callbacks_of(self.trainer).clear()
        if isinstance(self.model, Module):  # schedules are as long as the run, and this one is endless
            self.model.lr_scheduler = None
            for part in self.model.parts.values():
                part.lr_scheduler = None
        options = self.find(self.config[subcommand])
        log.info(f"try it: python -m {PACKAGE} fit ... {' '.join(options)}")

    def find(self, config: Namespace) -> list[str]:
        """What was found, as options of ``fit``."""
        raise NotImplementedError


class FindRate(Find):
    """Finds the learning rate at which the loss falls fastest, while the rate grows at each step."""

    def find(self, config: Namespace) -> list[str]:
        tuner = Tuner(self.trainer)
        found = tuner.lr_find(
            self.model, datamodule=self.datamodule, num_training=NUM_STEPS, update_attr=False
        )
        if found is None:
            raise InputError("fast_dev_run leaves nothing to tune; leave it out")
        rates, losses = found.results["lr"], found.results["loss"]
        position = steepest(losses)
        path = self.run_folder / PICTURE
        _draw(path, rates, losses, position)
        log.info(f"the loss falls fastest at a rate of {rates[position]:.2g}: {os.path.relpath(path)}")
        return rate_options(config.model.get("init_args") or Namespace(), rates[position])


class FindBatchSize(Find):
    """Finds the largest batch size that fits into memory, by doubling it."""

    def find(self, config: Namespace) -> list[str]:
        largest = LARGEST
        if isinstance(self.datamodule, DataModule) and self.datamodule.sources:
            raise InputError("data: expected one set, got an Interleave; try each of its sources alone")
        if isinstance(self.datamodule, BatchedData):
            self.datamodule.prepare_data()
            self.datamodule.setup("fit")
            self.datamodule.drop_last = False
            largest = min(largest, len(self.datamodule.train_set))
        tuner = Tuner(self.trainer)
        found = tuner.scale_batch_size(self.model, datamodule=self.datamodule, max_val=largest + 1)
        if found is None:
            raise InputError("expected a batch size that fits into memory, got none")
        if found > largest:  # the one at which it stopped was not tried
            found //= 2
        log.info(
            f"the largest batch that fits: {found}; another size may need another learning rate: lr_find"
        )
        return [f"--data.init_args.batch_size={found}"]


def rate_options(init_args: Namespace, rate: float) -> list[str]:
    """The options that set a learning rate: that of the optimizer, and ``max_lr`` of a schedule with one."""
    key = "--model.init_args"
    options = [] if init_args.get("optimizer") else [f"{key}.optimizer=torch.optim.AdamW"]
    options.append(f"{key}.optimizer.init_args.lr={rate:.2g}")
    schedule = init_args.get("lr_scheduler")
    if isinstance(schedule, Namespace) and "max_lr" in (schedule.get("init_args") or {}):
        options.append(f"{key}.lr_scheduler.init_args.max_lr={rate:.2g}")
    return options


def steepest(losses: list[float]) -> int:
    """Index at which a smoothed loss falls fastest from step to step, after the first ``NUM_SKIPPED``.

    Lightning's own suggestion divides by the difference of the rates, and so prefers the smallest rates.

    Raises:
        InputError: The loss does not fall.
    """
    slopes = torch.gradient(torch.tensor(losses[NUM_SKIPPED:]))[0] if len(losses) > NUM_SKIPPED + 1 else None
    if slopes is None or not (slopes < 0).any():
        raise InputError(
            "expected a learning rate at which the loss falls, got none; check the data and the loss"
        )
    return int(slopes.nan_to_num(torch.inf).argmin()) + NUM_SKIPPED


def _draw(path: Path, rates: list[float], losses: list[float], position: int) -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss, smoothed")
    axes.plot(rates[NUM_SKIPPED:], losses[NUM_SKIPPED:])
    axes.plot(rates[position], losses[position], "o", color="tab:red")
    with replacing(path) as partial:
        figure.savefig(partial, format="png")
