"""The loss of a step, as it is logged."""

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from my_project.engine.loggers.run_folder import RunFolderLogger
from pytorch_lightning import Callback
from support import MakeFake, MakeNet, MakeTrainer


class Losses(Callback):
    """Keeps the loss and the size of each batch."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.sizes: list[int] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(outputs["loss"].item())
        self.sizes.append(len(batch))


@pytest.mark.parametrize("every", [1, 2, 3])
def test_all_batches_of_an_accumulated_step_count(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, tmp_path: Path, every: int
) -> None:
    seen = Losses()
    trainer = make_trainer(
        logger=RunFolderLogger(tmp_path), log_every_n_steps=every, callbacks=[seen], accumulate_grad_batches=4
    )
    trainer.fit(make_net(), make_fake(batch_size=4, num_train=75, val_split=3))

    assert len(seen.losses) == 18  # five steps; the last is of two batches
    ends = [4, 8, 12, 16, 18]
    logged = [end for step, end in enumerate(ends, 1) if step % every == 0]
    bounds = [0, *logged, *([18] if logged[-1] != 18 else [])]
    # Lightning divides the loss that callbacks see by the batches of a step.
    windows = [4 * np.mean(seen.losses[start:end]) for start, end in pairwise(bounds)]
    with (tmp_path / "metrics.csv").open() as file:
        of_steps = [float(row["train/loss_step"]) for row in csv.DictReader(file) if row["train/loss_step"]]
    assert of_steps == pytest.approx(windows, rel=1e-5)


@pytest.mark.parametrize("log_every_n_steps", [1, 3, 50])
def test_the_loss_of_a_step_is_the_mean_since_the_last_logged_one(
    make_trainer: MakeTrainer,
    make_fake: MakeFake,
    make_net: MakeNet,
    tmp_path: Path,
    log_every_n_steps: int,
) -> None:
    seen = Losses()
    logger = RunFolderLogger(tmp_path)
    trainer = make_trainer(logger=logger, log_every_n_steps=log_every_n_steps, callbacks=[seen])
    trainer.fit(make_net(), make_fake(num_train=70, val_split=3))

    assert seen.sizes == [16, 16, 16, 16, 3]
    starts = range(0, 5, log_every_n_steps)
    windows = [np.mean(seen.losses[start : start + log_every_n_steps]) for start in starts]
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    of_steps = [float(row["train/loss_step"]) for row in rows if row["train/loss_step"]]
    assert of_steps == pytest.approx(windows, rel=1e-5)
    (of_epoch,) = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    assert of_epoch == pytest.approx(np.average(seen.losses, weights=seen.sizes), rel=1e-5)
