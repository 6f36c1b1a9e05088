import json
import logging
import re
import time
from pathlib import Path
from typing import Any

import pytest
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.report import callback
from my_project.engine.report.callback import MAX_SHARE, ReportPage
from pytorch_lightning import Callback
from support import MakeFake, MakeNet, MakeTrainer


def curves(run: Path) -> dict[str, Any]:
    page = (run / "report.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(data)["runs"][0]["curves"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


class Spy(Callback):
    """What the page knows at the start of each training batch."""

    def __init__(self, run: Path) -> None:
        self.run, self.known = run, []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.known.append({key: len(steps) for key, (steps, _) in curves(self.run).items()})

    def on_sanity_check_end(self, trainer: Any, pl_module: Any) -> None:
        assert not (self.run / "report.html").exists()


def test_the_page_holds_whole_epochs_while_training_and_all_at_the_end(
    run: Path,
    make_trainer: MakeTrainer,
    make_net: MakeNet,
    make_fake: MakeFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callback, "MAX_SHARE", 1.0)
    spy = Spy(run)
    trainer = make_trainer(
        max_epochs=3, logger=RunFolderLogger(run), callbacks=[ReportPage(run), spy], num_sanity_val_steps=1
    )

    trainer.fit(make_net(), make_fake())

    num_steps = int(trainer.num_training_batches)
    assert spy.known[0] == {}
    assert spy.known[num_steps]["train/loss"] == spy.known[num_steps]["val/loss"] == 1
    assert spy.known[2 * num_steps]["train/loss"] == 2
    assert len(curves(run)["train/loss"][0]) == len(curves(run)["val/loss"][0]) == 3


def test_writing_takes_its_share_of_the_time_and_no_more(
    run: Path,
    make_trainer: MakeTrainer,
    make_net: MakeNet,
    make_fake: MakeFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_slowly(runs: list[Path], path: Path) -> None:
        start = time.perf_counter()
        while time.perf_counter() < start + 0.02:
            pass
        costs.append(time.perf_counter() - start)

    class Epochs(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            epochs.append((list(costs), time.perf_counter() - start))

    costs: list[float] = []
    epochs: list[tuple[list[float], float]] = []
    monkeypatch.setattr(callback, "write_report", write_slowly)
    monkeypatch.setattr(callback, "MAX_SHARE", 0.2)
    start = time.perf_counter()
    trainer = make_trainer(
        max_epochs=150, limit_train_batches=1, limit_val_batches=0, callbacks=[ReportPage(run), Epochs()]
    )
    trainer.fit(make_net(), make_fake())

    assert len(epochs[0][0]) == 1, "the first costs what the others are measured by"
    assert len(epochs[-1][0]) >= 3
    for spent, elapsed in epochs:
        assert sum(spent) <= 0.2 * elapsed + max(spent), "one may take longer than the one before"
    assert len(costs) == len(epochs[-1][0]) + 1, "at the end once more, whatever it costs"
    assert MAX_SHARE == 0.02


def test_a_test_and_a_validation_are_on_the_page(
    run: Path, make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake
) -> None:
    trainer = make_trainer(logger=RunFolderLogger(run), callbacks=[ReportPage(run)])

    trainer.validate(make_net(), make_fake(), verbose=False)
    assert "val/loss" in curves(run)

    trainer.test(make_net(), make_fake(), verbose=False)
    assert "test/loss" in curves(run)


class Interruption(Callback):
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1 and batch_idx == 1:
            raise RuntimeError("broken")


def test_the_page_of_a_run_that_fails_holds_what_was_logged(
    run: Path, make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake
) -> None:
    callbacks = [ReportPage(run), Interruption()]
    trainer = make_trainer(max_epochs=2, logger=RunFolderLogger(run), callbacks=callbacks)

    with pytest.raises(RuntimeError, match="broken"):
        trainer.fit(make_net(), make_fake())

    assert len(curves(run)["train/loss"][0]) == 1
    assert len(curves(run)["train/loss_step"][0]) == trainer.num_training_batches + 1


def test_a_page_that_cannot_be_written_warns_once_and_stops_nothing(
    run: Path,
    make_trainer: MakeTrainer,
    make_net: MakeNet,
    make_fake: MakeFake,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (run / "report.html").mkdir()
    trainer = make_trainer(max_epochs=3, callbacks=[ReportPage(run)])

    with caplog.at_level(logging.WARNING, logger=callback.__name__):
        trainer.fit(make_net(), make_fake())

    assert trainer.current_epoch == 3
    (warning,) = [record.getMessage() for record in caplog.records if "report.html" in record.getMessage()]
    assert "cannot be written" in warning
