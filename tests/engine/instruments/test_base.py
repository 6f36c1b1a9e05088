"""All instruments, driven by the real Trainer into a real run folder."""

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.callbacks import ConfusionMatrix, ErrorVsEntropy, Predictions, TopKImages
from my_project.engine.errors import InputError
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.model import ResNet
from my_project.structs import Example, Prediction
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from support import MakeFake, MakeNet, MakeTrainer

ALL = ("best", "confusion_matrix", "error_vs_entropy", "worst")


def instruments() -> list[Callback]:
    return [TopKImages(k=3), ConfusionMatrix(), ErrorVsEntropy(num_bins=5), Predictions()]


def figures(run: Path) -> dict[str, list[int]]:
    """Steps of the pictures under each key."""
    found: dict[str, list[int]] = {}
    for path in sorted((run / "figures").rglob("*.png")):
        key = str(path.parent.relative_to(run / "figures"))
        found.setdefault(key, []).append(int(path.stem.removeprefix("step-")))
    return found


def captions(run: Path, key: str) -> list[str]:
    (path,) = (run / "figures" / key).glob("*.json")
    return [image["caption"] for image in json.loads(path.read_text())["images"]]


def table(run: Path, key: str) -> list[dict[str, str]]:
    (path,) = (run / "tables" / key).glob("*.csv")
    with path.open() as file:
        return list(csv.DictReader(file))


def validate(
    make_trainer: MakeTrainer, model: Any, data: Any, *callbacks: Callback, run: Path = Path("run")
) -> Path:
    trainer = make_trainer(logger=RunFolderLogger(run), callbacks=list(callbacks))
    trainer.validate(model, data, verbose=False)
    return run


def evaluate(model: Any, data: Any, name: str = "val") -> tuple[Example, Prediction]:
    """All examples of a set at once, in stored order."""
    images = data._sets[f"val/{name}"]
    example = images[range(len(images))]
    with torch.no_grad():
        return example, model.eval()(example)


def test_each_set_and_the_test_have_all_pictures(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run = Path("run")
    trainer = make_trainer(max_epochs=2, logger=RunFolderLogger(run), callbacks=instruments())
    model, data = make_net(), make_fake(val_split={"easy": 0.3, "hard": 0.2}, demo_only=["hard"])
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)

    with (run / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row.get("val/easy/accuracy")]
    expected = {f"val/{name}/{kind}": steps for name in ("easy", "hard") for kind in ALL}
    expected |= {f"test/{kind}": [trainer.global_step] for kind in ALL}
    assert figures(run) == expected
    for path in (run / "figures").rglob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) >= 150


def test_nothing_is_shown_of_the_sanity_check(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run = Path("run")
    trainer = make_trainer(num_sanity_val_steps=2, logger=RunFolderLogger(run), callbacks=instruments())
    trainer.fit(make_net(), make_fake())
    assert [steps for steps in figures(run).values() if len(steps) != 1] == []


def test_epochs_between_are_skipped_but_not_the_last(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run = Path("run")
    trainer = make_trainer(
        max_epochs=5, logger=RunFolderLogger(run), callbacks=[ConfusionMatrix(every_n_epochs=2)]
    )
    trainer.fit(make_net(), make_fake())

    num_steps = trainer.global_step // 5
    assert figures(run) == {"val/confusion_matrix": [epoch * num_steps - 1 for epoch in (2, 4, 5)]}


@pytest.mark.parametrize("by", ["error", "loss", "entropy"])
def test_top_k_equals_a_full_sort(
    by: Any, make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    model, data = make_net(criterion=torch.nn.CrossEntropyLoss(label_smoothing=0.4)), make_fake()
    run = validate(make_trainer, model, data, TopKImages(k=4, by=by))

    example, prediction = evaluate(model, data)
    assert example.target is not None
    assert example.index is not None
    probs = prediction.logits.softmax(1)
    scores = {
        "error": 1 - probs[range(len(probs)), example.target],
        "loss": torch.nn.CrossEntropyLoss(label_smoothing=0.4, reduction="none")(
            prediction.logits, example.target
        ),
        "entropy": torch.distributions.Categorical(probs).entropy() / torch.tensor(4.0).log(),
    }[by]
    order = scores.argsort(descending=True).tolist()
    for end, rows in (("worst", order[:4]), ("best", order[::-1][:4])):
        key = f"val/{end}" if by == "error" else f"val/by_{by}/{end}"
        assert captions(run, key) == [
            f"true {model.class_names[example.target[row]]}\n"
            f"predicted {model.class_names[probs[row].argmax()]}, {probs[row].max():.0%}\n"
            f"#{example.index[row]}  {by} {scores[row]:.3f}"
            for row in rows
        ]


def test_the_pictures_show_the_stored_images(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    model, data = make_net(), make_fake()
    run = validate(make_trainer, model, data, TopKImages(k=1, which="worst"))

    assert list(figures(run)) == ["val/worst"]
    (path,) = (run / "figures/val/worst").glob("*.json")
    (shown,) = json.loads(path.read_text())["images"]
    x, y, width, height = shown["box"]
    index = int(shown["caption"].partition("#")[2].split()[0])
    stored = data._sets["val/val"].images[index]
    with Image.open(path.with_suffix(".png")) as sheet:
        tile = sheet.crop((x, y, x + width, y + height)).resize((8, 8), Image.Resampling.NEAREST)
    assert torch.equal(torch.tensor(list(tile.tobytes())).view(8, 8, 3), stored.permute(1, 2, 0).long())


def test_training_images_are_shown_by_interval(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run = Path("run")
    trainer = make_trainer(
        max_epochs=2,
        logger=RunFolderLogger(run),
        callbacks=[TopKImages(k=2, which="worst", every_n_train_steps=3, every_n_epochs=2)],
    )
    trainer.fit(make_net(), make_fake())

    expected = [step - 1 for step in range(3, trainer.global_step + 1, 3)]
    assert figures(run)["train/worst"] == expected
    assert len(expected) >= 2


class Unlabelled(Callback):
    """Takes the targets away, as a set without labels would."""

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Example,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        batch.target = None


def test_a_set_without_targets_is_shown_where_none_is_needed(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = [Unlabelled(), *instruments(), TopKImages(k=2, by="entropy")]
    run = validate(make_trainer, make_net(), make_fake(), *callbacks)

    assert figures(run) == {"val/by_entropy/best": [0], "val/by_entropy/worst": [0]}
    assert all(caption.startswith("predicted ") for caption in captions(run, "val/by_entropy/worst"))
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "val has no targets: TopKImages shows it only with by=entropy"
    ]
    assert {row["true"] for row in table(run, "val/predictions")} == {""}


def test_predictions_are_those_of_the_model(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    model, data = make_net(), make_fake()
    rows = table(validate(make_trainer, model, data, Predictions()), "val/predictions")

    example, prediction = evaluate(model, data)
    assert example.index is not None
    assert example.target is not None
    assert [int(row["index"]) for row in rows] == example.index.tolist()
    assert [row["true"] for row in rows] == [model.class_names[target] for target in example.target]
    assert [row["predicted"] for row in rows] == [model.class_names[label] for label in prediction.classes]
    for name, expected in (("probability", prediction.confidence), ("entropy", prediction.entropy)):
        torch.testing.assert_close(
            torch.tensor([float(row[name]) for row in rows]), expected, rtol=1e-4, atol=1e-5
        )


def test_a_picture_that_cannot_be_written_is_told_once_and_ends_no_run(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path("run")
    run.mkdir()
    (run / "figures").write_text("in the way")
    trainer = make_trainer(max_epochs=3, logger=RunFolderLogger(run), callbacks=[ConfusionMatrix()])
    trainer.fit(make_net(), make_fake())

    assert trainer.current_epoch == 3
    told = [record.getMessage() for record in caplog.records if "is not written" in record.getMessage()]
    assert len(told) == 1
    assert "run/figures" in told[0]


def test_steps_that_return_no_prediction_are_told(
    make_trainer: MakeTrainer, make_fake: MakeFake, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent(ResNet):
        def validation_step(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
            super().validation_step(*args, **kwargs)

    model = Silent(num_classes=4, width=4, depths=(0, 1), stem_stride=1)
    run = validate(make_trainer, model, make_fake(), ConfusionMatrix())

    assert figures(run) == {}
    assert "expected the steps of Silent to return a dict with a prediction" in caplog.text


@pytest.mark.parametrize("options", [{"k": 0}, {"every_n_train_steps": 0}, {"every_n_epochs": 0}])
def test_numbers_that_are_not_positive_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        TopKImages(**options)  # type: ignore[arg-type]
