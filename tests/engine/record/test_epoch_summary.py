import logging
import re

import pytest
from my_project.engine.record.epoch_summary import EpochSummary
from support import MakeFake, MakeNet, MakeTrainer


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
