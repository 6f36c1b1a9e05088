"""Data sets that take turns in a run: what is trained on, validated, tested, resumed and refused."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.data import Augment
from my_project.data.fake import Fake
from my_project.engine.contracts import DataDescription
from my_project.engine.data import BatchedData
from my_project.engine.errors import InputError
from my_project.engine.interleave import Interleave
from my_project.model import BaseModel
from my_project.structs import MulticlassPrediction
from PIL import Image
from processes import DDP, assert_close_runs, assert_equal_runs, finish, only_run, start
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from support import MakeTrainer
from task_runs import KILLER
from tiny_runs import error_of, fit, rows_of
from torch import nn

AUGMENT = Augment(padding=1, flip=True)
Seen = tuple[str, list[int], float]


class Small(BaseModel):
    """A linear classifier of the means of the rows of an image, of any width."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.net = nn.Linear(8, 4)
        self.statistics: list[torch.Tensor] = []

    def use_statistics(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        self.statistics = [mean, std]

    def forward(self, example: Any) -> MulticlassPrediction:
        return MulticlassPrediction(logits=self.net(example.image.float().mean(dim=(1, 3)) / 255))


class KilledError(Exception):
    """Ends a run as a crash would."""


class Watch(Callback):
    """Keeps what training sees; after ``kill_at`` batches it saves a checkpoint and ends the run."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.seen, self.kill_at = list[Seen](), kill_at

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.seen.append((batch.source, batch.index.tolist(), batch.image.double().sum().item()))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.kill_at:
            trainer.save_checkpoint("mid.ckpt")
            raise KilledError


def wide(**options: Any) -> Fake:
    defaults = {"image_shape": (1, 8, 12), "num_train": 40, "num_test": 12, "batch_size": 8, "seed": 3}
    return Fake(**{**defaults, "augment": AUGMENT, **options})


def narrow(**options: Any) -> Fake:
    return wide(**{"image_shape": (1, 8, 8), "num_train": 25, "batch_size": 5, "seed": 4, **options})


def make(**options: Any) -> Interleave:
    workers = options.pop("workers", 0)
    sources = options.pop("sources", None) or {"wide": wide(), "narrow": narrow(num_workers=workers)}
    return Interleave(sources, **{"proportions": {"wide": 1, "narrow": 2}, "until": 7, **options})


def trained(
    make_trainer: MakeTrainer,
    data: Any,
    kill_at: int | None = None,
    ckpt_path: str | None = None,
    **options: Any,
) -> tuple[Watch, Small]:
    torch.manual_seed(0)
    watch, model = Watch(kill_at), Small()
    trainer = make_trainer(**{"max_epochs": 3, "callbacks": [watch], **options})
    with contextlib.suppress(KilledError):
        trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True)
    return watch, model


def test_a_source_gives_the_batches_that_it_gives_alone_round_after_round(make_trainer: MakeTrainer) -> None:
    alone = {
        name: trained(make_trainer, data, max_epochs=4)[0].seen
        for name, data in (("wide", wide()), ("narrow", narrow()))
    }

    both = trained(make_trainer, make())[0].seen

    for name, batches in alone.items():
        mine = [(index, pixels) for source, index, pixels in both if source == name]
        assert len(mine) > len(batches) / 4, "more than a round"
        assert mine == [(index, pixels) for _, index, pixels in batches][: len(mine)]


@pytest.mark.parametrize(("kill_at", "workers"), [(5, 0), (7, 1)])
def test_a_run_resumed_inside_an_epoch_ends_as_one_that_was_not_stopped(
    make_trainer: MakeTrainer, kill_at: int, workers: int
) -> None:
    whole, expected = trained(make_trainer, make())
    before, _ = trained(make_trainer, make(workers=workers), kill_at)
    after, resumed = trained(make_trainer, make(workers=workers), ckpt_path="mid.ckpt")

    assert len(whole.seen) == 21
    assert before.seen + after.seen == whole.seen
    torch.testing.assert_close(resumed.state_dict(), expected.state_dict(), rtol=0, atol=0)


def test_overfitting_takes_the_same_batches_each_epoch(make_trainer: MakeTrainer) -> None:
    seen = trained(make_trainer, make(), overfit_batches=2)[0].seen

    assert len(seen) == 6
    assert [index for _, index, _ in seen[:2]] == [index for _, index, _ in seen[2:4]]


def test_each_source_is_validated_and_tested_by_its_name_and_demo_only_does_not_count(
    make_trainer: MakeTrainer,
) -> None:
    sources = {"wide": wide(val_split={"near": 0.2, "far": 0.1}), "narrow": narrow(), "more": narrow(seed=9)}
    data, model = Interleave(sources, demo_only=["more"]), Small()
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, data)
    logged = dict(trainer.callback_metrics)
    trainer.test(model, data, verbose=False)
    tested = dict(trainer.callback_metrics)

    assert data.val_sets == {"wide/near": True, "wide/far": True, "narrow": True, "more": False}
    assert data.test_sets == {"wide": True, "narrow": True, "more": False}

    def right(examples: Any) -> tuple[int, int]:
        batch = examples[range(len(examples))]
        return int((model(batch).logits.argmax(dim=1) == batch.target).sum()), len(batch)

    def check(numbers: Any, split: str, sets: dict[str, Any], counted: list[str]) -> None:
        found = {name: right(examples) for name, examples in sets.items()}
        for name, (correct, size) in found.items():
            assert float(numbers[f"{split}/{name}/accuracy"]) == pytest.approx(correct / size)
        correct, size = (sum(found[name][part] for name in counted) for part in (0, 1))
        assert float(numbers[f"{split}/accuracy"]) == pytest.approx(correct / size)

    val = {"wide/near": wide, "wide/far": wide, "narrow": narrow, "more": narrow}
    kept = {
        name: sources[name.partition("/")[0]]._sets[f"val/{name.partition('/')[2] or 'val'}"] for name in val
    }
    check(logged, "val", kept, ["wide/near", "wide/far", "narrow"])
    check(tested, "test", {name: sources[name]._sets["test"] for name in sources}, ["wide", "narrow"])


def test_a_source_without_a_test_set_is_not_tested(make_trainer: MakeTrainer) -> None:
    class Untested(Fake):
        def load(self, split: str) -> Any:
            return super().load(split) if split == "train" else None

    shared = {"image_shape": (1, 8, 8), "num_train": 20, "seed": 1}
    data = Interleave({"tested": narrow(), "not": Untested(**shared)})

    trainer = make_trainer(limit_train_batches=1)
    trainer.fit(model := Small(), data)
    trainer.test(model, data, verbose=False)

    assert data.test_sets == {"tested": True}
    assert "test/accuracy" in trainer.callback_metrics
    neither = Interleave({"one": Untested(**shared), "two": Untested(**shared)})
    assert not neither.has_test()
    with pytest.raises(InputError, match="expected a test set of at least one source, got none"):
        trainer.test(model, neither)


def test_statistics_are_those_of_all_that_is_seen(make_trainer: MakeTrainer) -> None:
    # As many pixels are seen of each as there are.
    sources = {"wide": wide(num_train=60), "bright": wide(num_train=20, seed=8, noise=0.2)}
    data = Interleave(sources, proportions={"wide": 3, "bright": 1})
    _, model = trained(make_trainer, data, max_epochs=1)

    pixels = [
        source.train_set[range(len(source.train_set))].image.float() / 255 for source in sources.values()
    ]
    joined = torch.cat(pixels)
    torch.testing.assert_close(model.statistics[0], joined.mean().view(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.statistics[1], joined.std(correction=0).view(1), rtol=1e-4, atol=1e-6)
    both = Interleave({"wide": wide(), "raw": wide(normalize=False)})
    both.setup("fit")
    with pytest.raises(InputError, match="expected normalize for all or none, got none for raw"):
        both.statistics()
    other = Interleave({"grey": wide(), "colour": wide(image_shape=(3, 8, 8))})
    other.setup("fit")
    assert other.statistics() is None


def test_a_few_labels_are_kept_each_class_by_its_share_or_none() -> None:
    data = Interleave(
        {"some": wide(num_train=200), "none": wide(num_train=200)}, labels={"some": 20, "none": 0}
    )
    whole = wide(num_train=200)
    for each in (data, whole):
        each.setup("fit")
    data.setup("validate")  # again

    some, none = (data.sources[name].train_set for name in ("some", "none"))
    counts = some.targets.bincount(minlength=4) / 20
    assert len(some) == 20
    assert set(some.index.tolist()) <= set(whole.train_set.index.tolist())
    torch.testing.assert_close(counts, whole.train_set.targets.bincount(minlength=4) / 180, rtol=0, atol=0.05)
    assert none.targets is None
    assert none.index.equal(whole.train_set.index)
    assert next(iter(data.sources["none"].val_dataloader()[0])).target is not None


@pytest.mark.parametrize(
    "options", [{"until": 8}, {"proportions": {"wide": 2, "narrow": 2}}, {"labels": {"wide": 8}}]
)
def test_other_turns_and_labels_are_other_data(options: dict[str, Any]) -> None:
    one, same, other = make(), make(), make(**options)
    for data in (one, same, other):
        data.setup("fit")

    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint()["batch_size of narrow"] == 5


def describing(**facts: Any) -> BatchedData:
    class Described(Fake):
        def describe(self) -> DataDescription:
            return DataDescription(**facts)

    return Described()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"num_outputs": 10}, {"num_outputs": 26}, "another number of outputs, 10 and 26"),
        ({"class_names": ("a", "b")}, {"class_names": ("b", "a")}, "another names of classes, b, a"),
        ({"extras": {"vocabulary": ["a"]}}, {"extras": {"vocabulary": ["b"]}}, "another vocabulary"),
        ({"num_outputs": 3}, {"num_outputs": None}, ""),
        ({"extras": {"vocabulary": ["a"]}}, {"extras": {}}, ""),
        ({"shapes": {"image": (1, 8, 8)}}, {"shapes": {"image": (3, 9, 9)}}, ""),
    ],
)
def test_what_the_sources_say_of_themselves_must_agree(
    first: dict[str, Any], second: dict[str, Any], message: str
) -> None:
    data = Interleave({"one": describing(**first), "two": describing(**second)})

    if message:
        with pytest.raises(InputError, match=f"expected one and two to agree, got {message}; make it the"):
            data.describe()
    else:
        found = data.describe()
        assert found.extras.pop("sources") == ["one", "two"]
        del found.extras["reader"]
        assert found == DataDescription(**first)


def config(**options: Any) -> dict[str, Any]:
    """Of the command line; ``options`` replace arguments of ``Interleave``."""
    fake = {
        "num_train": 24,
        "num_test": 8,
        "image_shape": [1, 8, 8],
        "batch_size": 6,
        "augment": {"flip": True},
    }
    sources = {
        "one": {"class_path": "Fake", "init_args": fake},
        "two": {"class_path": "Fake", "init_args": {**fake, "image_shape": [1, 12, 12], "num_train": 50}},
    }
    return {
        "test_after_fit": True,
        "num_threads": 1,
        "seed_everything": 1,
        "model": {
            "class_path": "ResNet",
            "init_args": {
                "width": 4,
                "depths": [0],
                "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
                "lr_scheduler": {"class_path": "OneCycleLR", "init_args": {"max_lr": 0.1}},
            },
        },
        "data": {"class_path": "Interleave", "init_args": {"sources": sources, **options}},
        "trainer": {"accelerator": "cpu", "max_epochs": 3, "log_every_n_steps": 2},
    }


def change(settings: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *keys, last = path.split("/")
    place = settings
    for key in keys:
        place = place[key]
    place[last] = value
    return settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": {"train": wide()}}, "torch does not use itself, got train; rename it"),
        ({"sources": {"a.b": wide()}}, "torch does not use itself, got a.b; rename it"),
        (
            {"sources": {"plain": LightningDataModule()}},
            "plain: expected a BatchedData, got LightningDataModule",
        ),
        ({"proportions": {"wide": 1}}, "a positive number for each of wide, narrow, got {'wide': 1}"),
        ({"proportions": {"wide": 1, "narrow": 0}}, "a positive number for each of wide, narrow"),
        ({"proportions": {"wide": 1, "narrow": 2, "x": 1}}, "a positive number for each of wide, narrow"),
        ({"until": 0}, "expected until of at least 1, got 0"),
        ({"demo_only": ["wide", "narrow"]}, "demo_only: expected a source that counts, got all"),
        ({"demo_only": ["three"]}, "demo_only: expected sources of wide, narrow, got three"),
        ({"labels": {"three": 4}}, "labels: expected sources of wide, narrow, got three"),
        ({"labels": {"wide": -1}}, "labels: expected numbers of examples, got {'wide': -1}"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make(**{**({"proportions": None} if "sources" in options else {}), **options})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sources", {}, "sources: expected words that torch does not use itself, got none"),
        ("proportions", {"one": 1, "two": 1000}, "got none of one in 7; raise its proportion"),
        ("labels", {"two": 400}, "at least one example in 'train'"),
        ("sources/two/init_args/num_classes", 5, "one and two to agree, got another number of outputs"),
        ("sources/two/init_args/image_shape", [3, 8, 8], "in_channels: the sources have 1 and 3; give it"),
        ("sources/two/class_path", "Fakes", "data"),
    ],
)
def test_bad_input_is_one_line_before_the_first_step(
    path: str, value: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(until=7)

    assert fit("--name=bad", config=change(settings, f"data/init_args/{path}", value)) == 2

    assert message in error_of(capsys)
    assert not list(Path("runs").glob("*-bad/metrics.csv"))


def long() -> None:
    settings = config(proportions={"one": 3, "two": 2}, until=11)
    settings["checkpoint"] = {"every_n_train_steps": 3}
    images = {"class_path": "TopKImages", "init_args": {"k": 2, "every_n_train_steps": 4}}
    settings["trainer"]["callbacks"] = [images]
    Path("both.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    Path("killer.py").write_text(KILLER)


def test_a_run_that_is_stopped_inside_an_epoch_ends_as_one_that_was_not_and_predicts_as_the_first_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long()
    monkeypatch.syspath_prepend(".")
    assert main(["fit", "--config=both.yaml", "--name=whole"]) == 0
    stopping = ["--trainer.callbacks+=killer.StopAt", "--trainer.callbacks.step=16"]

    with pytest.raises(SystemExit):
        main(["fit", "--config=both.yaml", "--name=stopped", *stopping])
    capsys.readouterr()
    assert main(["fit", "--resume=stopped", "--data.init_args.until=shortest"]) == 2
    assert "turns of the interrupted run, one 3, two 2 until 11" in error_of(capsys)
    assert main(["fit", "--resume=stopped"]) == 0

    whole = only_run("whole")
    assert_equal_runs(whole, only_run("stopped"))
    assert (
        "an epoch: one 7 batches (1.75 rounds), two 4 batches (0.5 rounds)" in (whole / "log.txt").read_text()
    )
    assert [row["test/two/accuracy"] for row in rows_of(whole)][-1]
    assert list(whole.glob("figures/train/two/worst/*.png"))
    Image.new("L", (9, 9), 100).save("a.png")
    assert main(["predict", str(whole), "a.png"]) == 0
    assert "pattern 0" in Path("predictions.csv").read_text()
    assert main(["test", "--run=whole"]) == 0


@pytest.mark.faults
def test_two_processes_train_as_one_does_with_twice_the_batch() -> None:
    long()
    settings = yaml.safe_load(Path("both.yaml").read_text())
    del settings["trainer"]["callbacks"]
    # Nothing is normalised over the batch of a process.
    settings["model"]["class_path"] = "Network"
    settings["model"]["init_args"] |= {"network": "my_project.model.examples.student.Student"}
    for key in ("width", "depths"):
        del settings["model"]["init_args"][key]
    for name, size in (("one", 8), ("two", 4)):
        for source in settings["data"]["init_args"]["sources"].values():
            source["init_args"] |= {"batch_size": size, "drop_last": True, "image_shape": [1, 8, 8]}
        Path(f"{name}.yaml").write_text(yaml.safe_dump(settings))

    finish(start("--config=one.yaml", "--name=one"))
    finish(start("--config=two.yaml", "--name=two", *DDP))

    assert_close_runs(only_run("one"), only_run("two"))
