import itertools
import json
import logging
import re
import time
from pathlib import Path

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.engine.record.epoch_summary import EpochSummary
from pytorch_lightning import Callback, LightningModule, Trainer
from support import CONFIG, MakeFake, MakeNet, MakeTrainer


def test_says_one_line_per_epoch(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trainer = make_trainer(max_epochs=2, callbacks=[EpochSummary()])
    trainer.fit(make_net(), make_fake())

    lines = [record.getMessage() for record in caplog.records if record.name.endswith("epoch_summary")]
    number = r"\d+\.\d{4}"
    numbers = f"train/loss_step {number}  val/loss {number}  val/accuracy {number}"
    pattern = rf"epoch \d/2  {numbers}  [\d,]+ examples/s  \d+ s left"
    assert [bool(re.fullmatch(pattern, line)) for line in lines] == [True, True]
    assert lines[1].startswith("epoch 2/2")
    assert lines[1].endswith(" 0 s left")
    assert f"{trainer.callback_metrics['val/loss'].item():.4f}" in lines[1]


def test_an_epoch_says_only_what_it_measured(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    trained: list[float] = []

    class Look(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trained.append(trainer.callback_metrics.get("train/loss_step", torch.zeros(())).item())

        on_train_end = on_train_epoch_start

    trainer = make_trainer(
        max_epochs=4, callbacks=[Look(), EpochSummary()], check_val_every_n_epoch=2, log_every_n_steps=100
    )
    trainer.fit(make_net(), make_fake())

    lines = [record.getMessage() for record in caplog.records if record.name.endswith("epoch_summary")]
    assert ["val/loss" in line for line in lines] == [False, True, False, True]
    assert len(set(trained)) == 5
    for line, loss in zip(lines, trained[1:], strict=True):
        assert f"train/loss_step {loss:.4f}" in line


def test_a_run_that_goes_on_inside_an_epoch_is_as_fast_as_it_is(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    summary = EpochSummary()
    trainer = make_trainer(max_epochs=1, callbacks=[summary])
    caplog.set_level(logging.INFO)
    began = time.perf_counter()
    trainer.fit(make_net(), make_fake())
    summary.on_train_start(trainer, trainer.lightning_module)
    summary._num_examples = 1000
    summary.on_train_epoch_end(trainer, trainer.lightning_module)

    assert summary._training_s < time.perf_counter() - began


def test_a_clock_that_jumps_back_changes_no_rate_and_no_time_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By an hour at each look."""
    hours = itertools.count()
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began - 3600 * next(hours))
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))

    assert main(["fit", "--config=config.yaml", "--name=x", "--trainer.max_time=00:00:10:00"]) == 0
    said = capsys.readouterr().err
    (run,) = Path("runs").glob("*-x")
    assert next(hours) > 0, "somebody looked"
    assert re.search(r"epoch 1/1 .* [1-9][\d,]* examples/s  0 s left", said)
    assert main(["report", str(run)]) == 0
    assert json.loads((run / "run.json").read_text())[0]["outcome"] == "finished"
