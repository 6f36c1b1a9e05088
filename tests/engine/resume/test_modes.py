"""What a model's weights do not say goes on, too."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.engine.resume.checkpoints import Checkpoints, is_window_open
from my_project.engine.resume.modes import read_modes, write_modes
from my_project.engine.resume.preemption import Preemption
from my_project.engine.resume.signals import clear, listen, stop_listening
from pytorch_lightning import Callback
from support import MakeFake, MakeNet, MakeTrainer
from torch import nn


def make() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())


def test_another_model_of_the_class_gets_the_modes() -> None:
    model, other = make(), make()
    model[0].bias.requires_grad = False
    model[1].eval()
    model[1].track_running_stats = False
    other[0].weight.requires_grad = False
    other[2].eval()

    write_modes(other, read_modes(model))

    assert read_modes(other) == {"frozen": ["0.bias"], "evaluating": ["1"], "untracked": ["1"]}
    assert other[0].weight.requires_grad
    assert other[2].training


class Ask(Callback):
    """Asks the run to stop after its sixth batch, inside a step of four."""

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 5:
            signal.raise_signal(signal.SIGTERM)


def test_a_stop_waits_for_the_end_of_an_accumulated_step(
    make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake, tmp_path: Path
) -> None:
    listen()
    try:
        trainer = make_trainer(
            callbacks=[Ask(), Preemption(), Checkpoints(every_n_train_steps=1)],
            enable_checkpointing=True,
            default_root_dir=tmp_path,
            logger=False,
            accumulate_grad_batches=4,
        )
        with pytest.raises(SystemExit):
            trainer.fit(make_net(), make_fake(batch_size=4))
    finally:
        clear()
        stop_listening()
    (path,) = tmp_path.rglob("last.ckpt")
    saved = torch.load(path, weights_only=True)
    progress = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]

    assert saved["global_step"] == 2
    assert progress["completed"] == 8
    assert [is_window_open(trainer, batch_idx) for batch_idx in (0, 1, 3, 4)] == [False, True, True, False]
