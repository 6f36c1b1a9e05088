"""What users bring of their own: tasks, models, datasets and datamodules. See ``test_ideas.py`` as well."""

import csv
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.data import Augment
from my_project.engine.data import ExampleSet
from my_project.engine.metrics import MetricPlan, SplitMetrics
from my_project.model import BaseModel, Network, load_model
from my_project.structs import (
    ImageExample,
    MulticlassPrediction,
    TextExample,
    VectorExample,
)
from own_parts import Labels, Linear, OneOutput, Rows, Small, Staged, Two, Values, make_features
from support import MakeFake, MakeTrainer, axes_of
from torch import Tensor
from torch.utils import _pytree

NAMES = tuple("abcdefghij")
LINES = "1,2,3\n-1,0,0.5\n"


def trained(make_trainer: MakeTrainer, model: BaseModel, data: Any, **options: Any) -> Path:
    """A checkpoint after a step."""
    trainer = make_trainer(max_steps=1, limit_val_batches=1, **options)
    trainer.fit(model, data)
    trainer.save_checkpoint("model.ckpt")
    return Path("model.ckpt")


@dataclass(kw_only=True, eq=False)
class MaskedImage(ImageExample):
    spatial = ("target",)


def test_augmentation_moves_a_mask_with_its_image() -> None:
    image = torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8)
    example = MaskedImage(image=image, target=image[:, 0].long(), index=torch.arange(20))

    changed = Augment(padding=2, flip=True)(example, seed=1, epoch=0)

    assert not torch.equal(changed.image, image)
    torch.testing.assert_close(changed.image[:, 0].long(), changed.target)


def test_targets_that_would_be_broadcast_are_refused(make_trainer: MakeTrainer) -> None:
    model = Values(num_layers_outputs=1, criterion=torch.nn.MSELoss())
    data = Rows(torch.randn(16, 1))
    data.load = lambda split: VectorExample(features=make_features(16), target=torch.randn(16))

    with pytest.raises(ValueError, match=r"target must be \(8, 1\) to match the prediction, got \(8,\)"):
        make_trainer().fit(model, data)


@pytest.mark.parametrize(
    ("cls", "num_outputs", "target", "columns"),
    [
        (Values, 2, torch.randn(16, 2), ["a", "b"]),
        (Labels, 3, torch.ones(16, 3), ["a", "b", "c"]),
        (Two, 1, torch.arange(16) % 2, ["class", "probability", "entropy", "a", "b"]),
    ],
    ids=["values", "labels", "two classes"],
)
def test_predictions_are_written_in_the_columns_of_their_task(
    make_trainer: MakeTrainer, cls: type[Linear], num_outputs: int, target: Tensor, columns: list[str]
) -> None:
    checkpoint = trained(make_trainer, cls(num_layers_outputs=num_outputs), Rows(target, NAMES))
    Path("lines.csv").write_text(LINES)

    assert main(["predict", str(checkpoint), "lines.csv"]) == 0

    with Path("predictions.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["path", *columns]
    assert [row[0] for row in rows] == ["line 0", "line 1"]
    features = torch.tensor([[1, 2, 3], [-1, 0, 0.5]])
    outputs = load_model(checkpoint).net(features).detach()
    share = outputs.sigmoid()
    expected = {Values: outputs, Labels: share, Two: torch.cat([1 - share, share], dim=1)}
    written = torch.tensor([[float(cell) for cell in row[-expected[cls].shape[1] :]] for row in rows])
    torch.testing.assert_close(written, expected[cls], rtol=0, atol=1e-6)


def test_a_model_is_loaded_whatever_metrics_it_was_trained_with(make_trainer: MakeTrainer) -> None:
    metrics: dict[str, Any] = {"error": "MeanAbsolutePercentageError"}
    model = Values(num_layers_outputs=2, metrics=metrics)

    loaded = load_model(trained(make_trainer, model, Rows(torch.randn(16, 2))))

    torch.testing.assert_close(loaded.net.weight, model.net.weight)


def test_a_model_is_loaded_without_the_file_of_weights_it_began_with(make_trainer: MakeTrainer) -> None:
    torch.save(torch.nn.Linear(3, 2).state_dict(), "weights.pt")
    arguments = {"in_features": 3, "out_features": 2}
    model = Network(
        network="torch.nn.Linear",
        network_args=arguments,
        task="regression",
        input="features",
        weights="weights.pt",
    )
    with pytest.raises(AssertionError):
        torch.testing.assert_close(model.network.weight, torch.nn.Linear(3, 2).weight)
    checkpoint = trained(make_trainer, model, Rows(torch.randn(16, 2)))
    Path("weights.pt").rename("elsewhere.pt")

    loaded = load_model(checkpoint)

    torch.testing.assert_close(loaded.network.weight, model.network.weight)


def test_a_subclass_that_settles_the_number_of_outputs_is_loaded(
    make_trainer: MakeTrainer, make_fake: MakeFake
) -> None:
    model = OneOutput(optimizer=partial(torch.optim.SGD, lr=0.1))

    loaded = load_model(trained(make_trainer, model, make_fake(num_classes=2)))

    torch.testing.assert_close(loaded.state_dict(), model.state_dict())
    assert loaded.data.class_names == ("pattern 0", "pattern 1")


def test_stages_with_other_terms_of_the_loss_have_other_keys(make_trainer: MakeTrainer) -> None:
    seen = []
    model = Staged(num_layers_outputs=2)
    for epochs in (1, 2):
        trainer = make_trainer(max_epochs=epochs)
        trainer.fit(model, Rows(torch.randn(16, 2)))
        seen.append(trainer.callback_metrics)

    assert "val/loss_first" in seen[0]
    assert "val/loss_second" not in seen[0]
    assert seen[1]["val/loss_second"] == seen[1]["val/loss"]


def test_what_waits_for_the_metrics_is_bounded_by_bytes() -> None:
    split = SplitMetrics(MetricPlan({"accuracy": "Accuracy"}, MulticlassPrediction).make(6), "train/")
    target = torch.zeros(1, 512, 512, dtype=torch.long)
    image = torch.zeros(1, 3, 512, 512)
    size, most = 0, 0
    for _ in range(64):
        prediction = MulticlassPrediction(logits=torch.zeros(1, 6, 512, 512))
        split.append(ImageExample(image=image, target=target), prediction, None)
        size = prediction.nbytes + target.nbytes
        most = max(most, sum(kept.nbytes + other.nbytes for kept, other in split._buffer))

    assert size > 6_000_000
    assert size < most < 64 * 2**20


def test_batches_of_other_lengths_are_counted_alike() -> None:
    def batch(length: int, is_right: bool) -> tuple[TextExample, MulticlassPrediction]:
        ids = torch.ones(2, length, dtype=torch.long)
        example = TextExample(input_ids=ids, attention_mask=ids > 0, target=torch.ones(2, length).long())
        logits = torch.zeros(2, 2, length)
        logits[:, int(is_right)] = 1
        return example, MulticlassPrediction(logits=logits)

    split = SplitMetrics(MetricPlan({"accuracy": "Accuracy"}, MulticlassPrediction).make(2), "val/")
    for length, is_right in ((3, True), (5, False), (3, True), (1, True)):
        split.append(*batch(length, is_right), None)

    torch.testing.assert_close(split.compute()["val/accuracy"], torch.tensor(7 / 12))


class OwnSet(ExampleSet[VectorExample]):
    """A set that says more about its examples."""

    note = ""


def test_a_set_of_ones_own_class_is_one_on_another_device() -> None:
    examples = OwnSet(VectorExample(features=make_features(6))).subset(torch.tensor([4, 1]))
    examples.note = "of mine"

    moved = examples.to(torch.device("meta"))

    assert type(moved) is OwnSet
    assert moved.note == "of mine"
    assert moved.examples.features.device.type == "meta"
    assert moved.examples.features.shape == (2, 3)
    assert examples.to(torch.device("cpu"))[[0, 1]].index.tolist() == [4, 1]


PLAIN = """
import torch
from my_project.structs import VectorExample
from own_parts import make_features
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

class Plain(LightningDataModule):
    def loader(self):
        features = make_features(32)
        batches = [VectorExample(features=part, target=part[:, :2]) for part in features.split(8)]
        return DataLoader(batches, batch_size=None)

    train_dataloader = val_dataloader = test_dataloader = loader
"""


def test_a_plain_datamodule_trains_and_is_told_what_it_does_not_get(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("plain_data.py").write_text(PLAIN)
    monkeypatch.syspath_prepend(".")
    Path("own.py").write_text("from own_parts import Values\n\nclass Own(Values): pass\n")
    model = {"class_path": "own.Own", "init_args": {"num_layers_outputs": 2}}
    config = {"model": model, "data": {"class_path": "plain_data.Plain"}, "test_after_fit": True}
    Path("config.yaml").write_text(yaml.safe_dump(config))

    assert main(["fit", "--config=config.yaml", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]) == 0

    said = capsys.readouterr().err
    told = "is a plain LightningDataModule: no class names, no named validation sets, and a resume"
    assert said.count(told) == 1
    assert "test/loss" in said
    assert "my_project predict" not in said


def test_a_datamodule_of_the_project_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data.init_args.num_train=40", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    assert main(["fit", "--model=ResNet", "--model.width=4", "--data=Fake", *options]) == 0

    assert "plain LightningDataModule" not in capsys.readouterr().err


def test_a_model_is_exported_with_a_batch_of_any_size() -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    example = ImageExample(image=torch.randint(256, (4, 1, 4, 4), dtype=torch.uint8))
    model = Small().eval()

    exported = torch.export.export(model, (example,), dynamic_shapes=axes_of(example, image={0: batch}))

    torch.export.save(exported, "model.pt2")
    exported = torch.export.load("model.pt2")
    for size in (1, 7):
        image = torch.randint(256, (size, 1, 4, 4), dtype=torch.uint8)
        prediction = exported.module()(ImageExample(image=image))
        assert isinstance(prediction, MulticlassPrediction)
        torch.testing.assert_close(prediction.logits, model(ImageExample(image=image)).logits)


def test_trees_of_torch_reach_into_structs() -> None:
    example = VectorExample(features=make_features(4), target=torch.arange(4))

    doubled = _pytree.tree_map(lambda value: value if value is None else 2 * value, {"a": [example]})["a"][0]

    assert type(doubled) is VectorExample
    torch.testing.assert_close(doubled.features, 2 * example.features)
    assert doubled.target.tolist() == [0, 2, 4, 6]
    assert doubled.index is None
