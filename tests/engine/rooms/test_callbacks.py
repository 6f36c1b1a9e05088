"""The callbacks of the user's rooms, against what their model saw and gave."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project import plots
from my_project.callbacks.error_vs_entropy import ErrorVsEntropy
from my_project.callbacks.predictions import Predictions
from my_project.callbacks.top_k_images import TopKImages
from my_project.data.fake import Fake
from my_project.engine.data import ExampleSet
from my_project.engine.loggers import RunFolderLogger
from my_project.structs import ImageExample, MulticlassPrediction
from pytorch_lightning import Callback
from support import MakeFake, MakeNet, MakeTrainer
from torchmetrics.classification import MulticlassCalibrationError


class Seen(Callback):
    """Keeps the indices of the batches of training, and the batches of validation with what was given."""

    def __init__(self) -> None:
        self.train = list[list[int]]()
        self.val = list[tuple[ImageExample, MulticlassPrediction]]()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.train.append(batch.index.tolist())

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, batch: Any, *args: Any) -> None:
        self.val.append((batch, pl_module(batch)))


class Disordered(Fake):
    """Validates on examples of training, the last first."""

    def load(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        if split != "val":
            return super().load(split)
        train = super().load("train")["train"]
        return {"val": train.subset(torch.arange(9, -1, -1))}


def test_the_table_of_predictions_is_in_the_order_of_the_indices(
    make_trainer: MakeTrainer, make_net: MakeNet, tmp_path: Path
) -> None:
    trainer = make_trainer(logger=RunFolderLogger(tmp_path), callbacks=[Predictions()])
    trainer.validate(make_net(), Disordered(image_shape=(3, 8, 8), batch_size=4), verbose=False)

    (path,) = (tmp_path / "tables" / "val" / "predictions").glob("*.csv")
    with path.open() as file:
        assert [int(row["index"]) for row in csv.DictReader(file)] == list(range(10))


def test_pictures_of_training_show_the_steps_since_those_before(
    make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake, tmp_path: Path
) -> None:
    """As many are shown as are seen in two steps."""
    seen, top = Seen(), TopKImages(k=8, which="worst", every_n_train_steps=2)
    trainer = make_trainer(max_steps=6, logger=RunFolderLogger(tmp_path), callbacks=[seen, top])
    trainer.fit(make_net(), make_fake(batch_size=4))

    shown = []
    for path in sorted((tmp_path / "figures" / "train" / "worst").glob("*.json")):
        captions = [image["caption"] for image in json.loads(path.read_text())["images"]]
        shown.append(sorted(int(caption.partition("#")[2].split()[0]) for caption in captions))
    assert shown == [sorted(seen.train[step] + seen.train[step + 1]) for step in (0, 2, 4)]


def test_the_ece_of_the_picture_is_that_of_torchmetrics(
    make_trainer: MakeTrainer,
    make_net: MakeNet,
    make_fake: MakeFake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw, drawn = plots.error_vs_entropy, list[float]()

    def record(*args: Any, ece: float, **kwargs: Any) -> Any:
        drawn.append(ece)
        return draw(*args, ece=ece, **kwargs)

    monkeypatch.setattr(plots, "error_vs_entropy", record)
    seen = Seen()
    trainer = make_trainer(logger=RunFolderLogger(tmp_path), callbacks=[seen, ErrorVsEntropy(num_bins=5)])
    trainer.validate(make_net(), make_fake(), verbose=False)

    reference = MulticlassCalibrationError(num_classes=4, n_bins=5)
    for example, prediction in seen.val:
        reference.update(prediction.logits.softmax(dim=1), example.target)
    assert drawn == [pytest.approx(reference.compute().item(), abs=1e-5)]
