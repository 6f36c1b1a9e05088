"""Where networks and their weights come from, and what a checkpoint needs to make them again."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.__main__ import main
from my_project.data.digits import Digits
from my_project.engine.contracts import Example
from my_project.engine.errors import InputError
from my_project.engine.graph import Term, Wiring, example_losses
from my_project.engine.module import Part
from my_project.model import load_model
from my_project.model.examples.siamese import Contrast
from my_project.model.parts import Parts
from my_project.structs import BinaryPrediction, ImageExample, MulticlassPrediction, VectorExample
from support import PROJECT, MakeTrainer
from torch import nn
from torch.optim import SGD

LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 16, "out_features": 10}}


def classes() -> dict[str, Term]:
    return {"classes": Term(criterion=nn.CrossEntropyLoss(), inputs=["logits", "target"])}


def make(**options: Any) -> Parts:
    defaults: dict[str, Any] = {
        "networks": {"encoder": "Encoder", "head": LINEAR},
        "graph": {"logits": "head(encoder(image))"},
        "prediction": {"multiclass": "logits"},
        "losses": classes(),
    }
    return Parts(**{**defaults, **options})


def images(num: int = 4) -> ImageExample:
    draw = torch.Generator().manual_seed(0)
    return ImageExample(image=torch.randint(0, 256, (num, 1, 8, 8), generator=draw, dtype=torch.uint8))


def fit(make_trainer: MakeTrainer, model: Parts, name: str = "model.ckpt", **options: Any) -> Path:
    trainer = make_trainer(limit_train_batches=3, limit_val_batches=1, **options)
    trainer.fit(model, Digits(batch_size=32))
    trainer.save_checkpoint(name)
    return Path(name)


def test_pixels_are_scaled_and_calls_may_stand_in_calls() -> None:
    model = make()
    image = images().image.float() / 255

    expected = model.networks["head"](model.networks["encoder"](image))

    torch.testing.assert_close(model(images()).logits, expected, rtol=0, atol=0)


def test_what_is_detached_gets_no_gradient_of_what_is_made_of_it() -> None:
    networks = nn.ModuleDict({"body": nn.Linear(2, 3), "head": nn.Linear(3, 1)})
    wiring = Wiring({"score": "head(detach(body(features)))"}, list(networks))

    wiring.run(networks, VectorExample(features=torch.ones(4, 2)))["score"].sum().backward()

    assert networks["head"].weight.grad is not None
    assert networks["body"].weight.grad is None


def test_the_loss_of_an_example_is_the_weighted_sum_of_its_terms() -> None:
    values = {
        "made": torch.tensor([[1.0, 3.0], [0.0, 2.0]]),
        "wanted": torch.tensor([[0.0, 0.0], [0.0, 0.0]]),
    }
    terms = {
        "squares": Term(criterion=nn.MSELoss(), inputs=["made", "wanted"], weight=0.5),
        "sizes": Term(criterion=nn.L1Loss(), inputs={"input": "made", "target": "wanted"}, weight=3),
    }

    assert example_losses(terms, values).tolist() == [0.5 * 5 + 3 * 2, 0.5 * 2 + 3 * 1]


def test_the_loss_of_an_example_is_a_mean_over_what_is_not_ignored() -> None:
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[3, 1, -100, -100], [2, 0, 4, 1]])
    terms = {"next": Term(criterion=nn.CrossEntropyLoss(), inputs=["logits", "target"])}

    losses = example_losses(terms, {"logits": logits, "target": target})

    expected = [
        -logits[row].log_softmax(dim=0)[target[row][:size], range(size)].mean()
        for row, size in ((0, 2), (1, 4))
    ]
    torch.testing.assert_close(losses, torch.stack(expected))


def test_a_plain_name_is_the_same_network(make_trainer: MakeTrainer) -> None:
    model = make(
        networks={"encoder": "Encoder", "again": "encoder", "head": LINEAR},
        graph={"logits": "head(encoder(image))", "other": "again(image)"},
        losses={**classes(), "size": Term(criterion=nn.MSELoss(), inputs=["other", "other"], weight=0)},
    )
    assert model.networks["again"] is model.networks["encoder"]

    loaded: Any = load_model(fit(make_trainer, model))

    assert loaded.networks["again"] is loaded.networks["encoder"]
    torch.testing.assert_close(loaded(images()).logits, model.eval()(images()).logits, rtol=0, atol=0)


def test_weights_come_from_a_file_or_by_the_name_of_a_part_from_a_run(make_trainer: MakeTrainer) -> None:
    first = make()
    fit(make_trainer, first, "first.ckpt")
    torch.save(first.networks["encoder"].state_dict(), "encoder.pt")

    for source in ("encoder.pt", "first.ckpt"):
        model = make(networks={"encoder": {"class_path": "Encoder", "weights": source}, "head": LINEAR})
        expected = first.networks["encoder"].state_dict()
        torch.testing.assert_close(model.networks["encoder"].state_dict(), expected, rtol=0, atol=0)

    fit(make_trainer, model, "second.ckpt")
    Path("first.ckpt").unlink()
    load_model("second.ckpt")
    with pytest.raises(
        InputError, match=r"^networks: body: no part body in second.ckpt; there are encoder, head$"
    ):
        make(networks={"body": {"class_path": "Encoder", "weights": "second.ckpt"}, "head": LINEAR})
    with pytest.raises(InputError, match=r"^networks: head: the weights in second.ckpt do not fit: "):
        make(networks={"encoder": "Encoder", "head": {"class_path": "Encoder", "weights": "second.ckpt"}})


def test_without_an_optimizer_a_network_is_frozen_and_evaluates(make_trainer: MakeTrainer) -> None:
    networks = {"encoder": "Encoder", "drop": "torch.nn.Dropout", "head": LINEAR}
    model = make(
        networks=networks,
        graph={"logits": "head(drop(encoder(image)))"},
        optimizers={"head": Part(optimizer=partial(SGD, lr=0.1), parts=["head.w*"], loss=["classes"])},
    )
    before = {name: value.clone() for name, value in model.networks.state_dict().items()}

    fit(make_trainer, model)

    moved = {
        name for name, value in model.networks.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"head.weight"}
    assert [network.training for network in model.networks.values()] == [False, True, True]
    assert not any(parameter.requires_grad for parameter in model.networks["encoder"].parameters())


def test_a_teacher_is_a_run_that_its_student_outlives(make_trainer: MakeTrainer) -> None:
    options = ["--config", f"{PROJECT}/configs/digits.yaml", "--name=teacher", "--trainer.max_epochs=1"]
    assert (
        main(
            ["fit", *options, "--test_after_fit=false", "--trainer.callbacks=null", "--trainer.logger=false"]
        )
        == 0
    )
    (run,) = Path("runs").glob("*-teacher")
    teacher = load_model(run / "checkpoints/best.ckpt")
    networks = {"teacher": {"run": "teacher"}, "student": {"class_path": "Student"}}
    model = make(
        networks=networks,
        graph={"of_teacher": "teacher(example)", "logits": "student(image)"},
        losses={"far": Term(criterion=nn.MSELoss(), inputs=["logits", "of_teacher"])},
        optimizers={"student": Part(optimizer=partial(SGD, lr=0.1), loss=["far"])},
    )

    fit(make_trainer, model)
    shutil.rmtree("runs")
    loaded: Any = load_model("model.ckpt")

    torch.testing.assert_close(
        loaded.networks["teacher"](images()).logits, teacher(images()).logits, rtol=0, atol=0
    )
    for name, value in teacher.state_dict().items():
        torch.testing.assert_close(
            model.networks["teacher"].state_dict()[f"model.{name}"], value, rtol=0, atol=0
        )


def test_a_checkpoint_predicts_without_targets_and_calls_only_what_that_takes(
    make_trainer: MakeTrainer,
) -> None:
    model = make(
        networks={"encoder": "Encoder", "head": LINEAR, "judge": "torch.nn.Bilinear"}
        | {
            "judge": {
                "class_path": "torch.nn.Bilinear",
                "init_args": {"in1_features": 10, "in2_features": 16, "out_features": 1},
            }
        },
        graph={"code": "encoder(image)", "logits": "head(code)", "judged": "judge(logits, code)"},
        losses={**classes(), "judged": Term(criterion=nn.MSELoss(), inputs=["judged", "judged"])},
    )
    loaded: Any = load_model(fit(make_trainer, model))
    loaded.networks["judge"] = nn.Identity()  # which takes one input

    assert loaded(images()).logits.shape == (4, 10)


def test_several_heads_have_metrics_and_pictures_of_their_own(make_trainer: MakeTrainer) -> None:
    model = make(
        networks={"encoder": "Encoder", "head": LINEAR, "decoder": "Decoder", "flatten": "torch.nn.Flatten"}
        | {"second": {"class_path": "torch.nn.Linear", "init_args": {"in_features": 16, "out_features": 1}}},
        graph={
            "code": "encoder(image)",
            "logits": "head(code)",
            "again": "decoder(code)",
            "odd_logits": "second(code)",
            "flat": "flatten(code)",
        },
        prediction={
            "multiclass": "logits",
            "odd": {"task": "binary", "outputs": "odd_logits"},
            "image": "again",
        },
        losses={**classes(), "size": Term(criterion=nn.MSELoss(), inputs=["flat", "code"])},
        metrics={
            "accuracy": "Accuracy",
            "odd/accuracy": "Accuracy",
            "odd/entropy": "Entropy",
            "psnr": {
                "class_path": "PeakSignalNoiseRatio",
                "init_args": {"data_range": 1.0},
                "fields": {"preds": "again", "target": "image"},
            },
        },
    )
    target = torch.tensor([0, 1, 1, 0])
    example = ImageExample(image=images().image, target=target)
    prediction = model(example)
    odd = prediction.head("odd", example)[1]
    code = model.networks["encoder"](example.image / 255)

    assert isinstance(prediction, MulticlassPrediction)
    assert isinstance(odd, BinaryPrediction)
    torch.testing.assert_close(odd.preds, model.networks["second"](code)[:, 0].sigmoid())
    assert prediction.draw_on(example.pictures(), example).shape == (4, 1, 8, 16)
    assert "odd: true" in prediction.captions(example, [*"0123456789"])[0]
    assert {"class", "odd class", "true", "odd true"} <= prediction.columns([*"0123456789"], target).keys()

    data = Halves(batch_size=32)
    trainer = make_trainer(limit_train_batches=1)
    trainer.fit(model, data)
    rows = ImageExample.cat(list(data.val_dataloader()[0]))
    with torch.no_grad():
        after = model.eval()(rows)
    expected = ((after.head("odd", rows)[1].preds > 0.5).long() == rows.target).float().mean()
    torch.testing.assert_close(trainer.callback_metrics["val/odd/accuracy"], expected)
    assert {"val/accuracy", "val/odd/entropy", "val/psnr"} <= trainer.callback_metrics.keys()


class Halves(Digits):
    """Digits 0 and 1 alone."""

    def load(self, split: str) -> Any:
        found = super().load(split)
        kept = {}
        for name, examples in found.items():
            targets = examples.targets
            assert targets is not None
            kept[name] = examples.subset((targets < 2).nonzero()[:, 0])
        return kept


def test_a_target_may_be_made_by_the_graph(make_trainer: MakeTrainer) -> None:
    model = make(
        networks={"pair": "Pair", "encoder": "Encoder", "alike": "Alike"},
        graph={
            "other, same": "pair(image, target)",
            "code": "encoder(image)",
            "of_other": "encoder(other)",
            "logits": "alike(code, of_other)",
        },
        prediction={"binary": {"outputs": "logits", "target": "same"}, "image": "other"},
        losses={"contrast": Term(criterion=Contrast(), inputs=["code", "of_other", "same"])},
    )
    seen: list[tuple[Example, Any]] = []
    model.numbers.val_splits.counted.append = lambda example, prediction, loss: seen.append(
        (example, prediction)
    )  # type: ignore[method-assign]

    fit(make_trainer, model)

    example, prediction = seen[0]
    assert set(example.target.tolist()) == {0, 1}
    assert example.target.float().mean() > 0.4
    assert prediction.for_metrics(example.target)[1] is not None
