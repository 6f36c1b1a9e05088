"""What all instruments have in common, by one that tabulates each set's examples."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.instruments import Instrument, title_of
from my_project.engine.loggers import log_table
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.model.resnet import ResNet
from my_project.structs import ImageExample, MulticlassPrediction, RegressionPrediction
from pytorch_lightning import LightningModule, Trainer
from support import MakeFake, MakeNet, MakeTrainer
from torch import Tensor


class Rows(Instrument):
    """Logs a table of the examples of each set, and of the logits that the model gave them."""

    def add(
        self, split: str, example: ImageExample, prediction: MulticlassPrediction, model: LightningModule
    ) -> None:
        assert example.index is not None
        self.states.setdefault(split, []).append((example.index, prediction.logits))

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        index, logits = (torch.cat(part) for part in zip(*self.states[split], strict=True))
        rows = [[position, *row] for position, row in zip(index.tolist(), logits.tolist(), strict=True)]
        if self.is_drawn(trainer):
            self.titles = [*getattr(self, "titles", []), title_of(split, trainer)]
            self.send(trainer, log_table, f"{split}/rows", ["index", "a", "b", "c", "d"], rows)


def steps_of(run: Path) -> dict[str, list[int]]:
    """Steps of the tables under each key."""
    found: dict[str, list[int]] = {}
    for path in sorted((run / "tables").rglob("*.csv")):
        found.setdefault(str(path.parent.relative_to(run / "tables")), []).append(
            int(path.stem.removeprefix("step-"))
        )
    return found


def table(path: Path) -> tuple[list[int], Tensor]:
    """Index and logits of the rows of a table."""
    with path.open() as file:
        rows = list(csv.reader(file))[1:]
    return [int(row[0]) for row in rows], torch.tensor([[float(cell) for cell in row[1:]] for row in rows])


def test_each_set_is_shown_whole_and_by_itself(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run, instrument = Path("run"), Rows()
    trainer = make_trainer(max_epochs=2, logger=RunFolderLogger(run), callbacks=[instrument])
    model, data = make_net(), make_fake(val_split={"easy": 0.3, "hard": 0.2}, demo_only=["hard"])
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)

    steps = [int(trainer.num_training_batches) * epoch - 1 for epoch in (1, 2)]
    assert steps_of(run) == {"val/easy/rows": steps, "val/hard/rows": steps, "test/rows": [steps[-1] + 1]}
    titles = [f"val/{name}, epoch {epoch}" for epoch in (1, 2) for name in ("easy", "hard")]
    assert instrument.titles == [*titles, "test"]
    for name, key in (("val/easy", "val/easy"), ("val/hard", "val/hard"), ("test", "test")):
        examples = data._sets[name]
        batch = examples[range(len(examples))]
        index, logits = table(sorted((run / "tables" / key / "rows").glob("*.csv"))[-1])
        assert batch.index is not None
        assert index == batch.index.tolist()
        with torch.no_grad():
            torch.testing.assert_close(logits, model.eval()(batch).logits, rtol=1e-3, atol=1e-4)


def test_nothing_is_shown_of_the_sanity_check(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run = Path("run")
    trainer = make_trainer(num_sanity_val_steps=2, logger=RunFolderLogger(run), callbacks=[Rows()])
    trainer.fit(make_net(), make_fake())

    (path,) = (run / "tables").rglob("*.csv")
    assert path.stem == f"step-{trainer.global_step - 1:08d}"
    assert len(table(path)[0]) == len(trainer.datamodule._sets["val/val"])  # type: ignore[attr-defined]


def test_epochs_between_are_skipped_but_not_the_last(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run = Path("run")
    callbacks = [Rows(every_n_epochs=2)]
    trainer = make_trainer(max_epochs=5, logger=RunFolderLogger(run), callbacks=callbacks)
    trainer.fit(make_net(), make_fake())

    num_steps = trainer.global_step // 5
    assert steps_of(run) == {"val/rows": [epoch * num_steps - 1 for epoch in (2, 4, 5)]}


def test_what_cannot_be_written_is_told_once_and_ends_no_run(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path("run")
    run.mkdir()
    (run / "tables").write_text("in the way")
    trainer = make_trainer(max_epochs=3, logger=RunFolderLogger(run), callbacks=[Rows()])
    trainer.fit(make_net(), make_fake())

    assert trainer.current_epoch == 3
    (told,) = [record.getMessage() for record in caplog.records if "is not written" in record.getMessage()]
    assert "run/tables" in told


def test_steps_that_return_no_prediction_are_told_once(
    make_trainer: MakeTrainer, make_fake: MakeFake, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent(ResNet):
        def validation_step(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
            super().validation_step(*args, **kwargs)

    model, run = Silent(num_classes=4, width=4, depths=(0, 1), stem_stride=1), Path("run")
    trainer = make_trainer(logger=RunFolderLogger(run), callbacks=[Rows()])
    trainer.validate(model, make_fake(batch_size=2), verbose=False)

    assert steps_of(run) == {}
    assert caplog.text.count("expected the steps of Silent to return a dict with a prediction") == 1


def test_epochs_that_are_not_positive_are_refused() -> None:
    with pytest.raises(InputError, match="every_n_epochs of at least 1, got 0"):
        Rows(every_n_epochs=0)


class OfNumbers(Rows):
    serves = RegressionPrediction


def test_what_a_model_does_not_give_is_told_in_one_line_when_the_run_starts_and_left_out(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path("run")
    trainer = make_trainer(max_epochs=2, logger=RunFolderLogger(run), callbacks=[OfNumbers(), Rows()])
    trainer.fit(make_net(), make_fake())

    (told,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert told == (
        "OfNumbers is left out: it shows RegressionPrediction, and the model gives MulticlassPrediction"
    )
    assert len(steps_of(run)["val/rows"]) == 2, "of the other one"
