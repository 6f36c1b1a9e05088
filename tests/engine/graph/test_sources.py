"""A pipeline for each of several data sets: lines and losses of a source, and whom they feed."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.data.digits import Digits
from my_project.engine.errors import InputError
from my_project.engine.graph import Term, Wiring
from my_project.engine.graph.drawing import boxes_of
from my_project.engine.interleave import Interleave
from my_project.engine.module import Part
from my_project.model.parts import Parts
from my_project.structs import VectorExample
from processes import assert_close_runs, finish, only_run, start
from pytorch_lightning import Callback, LightningModule, Trainer
from support import MakeTrainer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

EXAMPLES = "my_project.model.examples.encoder_decoder"
LINEAR = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 16, "out_features": 10}}
NETWORKS = {"encoder": f"{EXAMPLES}.Encoder", "head": LINEAR, "decoder": f"{EXAMPLES}.Decoder"}
GRAPH = {
    "code": "encoder(image)",
    "logits": "head(code)",
    "made": {"some": "decoder(detach(code))", "rest": "decoder(code)"},
}


def losses() -> dict[str, Term]:
    return {
        "classes": Term(criterion=nn.CrossEntropyLoss(), inputs=["logits", "target"], source="some"),
        "pixels": Term(criterion=nn.MSELoss(), inputs=["made", "image"], weight=3),
        "size": Term(criterion=nn.L1Loss(), inputs=["code", "code"], weight=0, source=["rest", "some"]),
    }


def make(**options: Any) -> Parts:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "networks": NETWORKS,
        "graph": GRAPH,
        "prediction": {"multiclass": "logits"},
        "losses": losses(),
        "optimizer": lambda parameters: SGD(parameters, lr=0.1),
    }
    return Parts(**{**defaults, **options})


def data(**options: Any) -> Interleave:
    sources = {"some": Digits(batch_size=20, seed=1), "rest": Digits(batch_size=32, seed=2)}
    defaults = {"labels": {"some": 60, "rest": 0}, "proportions": {"some": 1, "rest": 2}, "until": 7}
    return Interleave(sources, **{**defaults, **options})


class Watch(Callback):
    """Keeps the batches."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.seen.append(batch)


def trained(make_trainer: MakeTrainer, model: Parts, **options: Any) -> tuple[list[Any], dict[str, float]]:
    watch = Watch()
    trainer = make_trainer(callbacks=[watch], limit_val_batches=2, **options)
    trainer.fit(model, data())
    return watch.seen, {key: float(value) for key, value in trainer.callback_metrics.items()}


def terms_of(networks: Any, batch: Any) -> dict[str, Tensor]:
    """The reference: the same by hand."""
    image = batch.image.float() / 255
    code = networks["encoder"](image)
    made = networks["decoder"](code if batch.source == "rest" else code.detach())
    found = {"pixels": 3 * functional.mse_loss(made, image)}
    if batch.source == "some":
        found["classes"] = functional.cross_entropy(networks["head"](code), batch.target)
    else:
        assert batch.target is None
    return found


def test_each_batch_goes_through_the_pipeline_of_its_source(make_trainer: MakeTrainer) -> None:
    model, by_hand = make(), make()

    batches, logged = trained(make_trainer, model)

    assert [batch.source for batch in batches].count("some") == 2
    optimizer, sums = SGD(by_hand.networks.parameters(), lr=0.1), list[tuple[str, float, int]]()
    places: dict[str, list[tuple[int, int]]] = {"some": [], "rest": []}
    for batch in batches:
        terms = terms_of(by_hand.networks, batch)
        places[batch.source].append((len(sums), len(sums) + len(terms)))
        sums += [(name, value.item(), len(batch)) for name, value in terms.items()]
        optimizer.zero_grad()
        torch.stack([*terms.values()]).sum().backward()
        optimizer.step()
    torch.testing.assert_close(model.networks.state_dict(), by_hand.networks.state_dict())
    for name, weight in (("pixels", 3), ("classes", 1)):
        values = [(value / weight, size) for key, value, size in sums if key == name]
        mean = sum(value * size for value, size in values) / sum(size for _, size in values)
        assert logged[f"train/loss_{name}"] == pytest.approx(mean, rel=1e-5)
    for source in ("some", "rest"):
        rows = [sum(value for _, value, _ in sums[start:end]) for start, end in places[source]]
        mean = sum(rows) / len(rows)  # its batches are of one size
        assert logged[f"train/{source}/loss"] == pytest.approx(mean, rel=1e-5)
    assert "val/rest/loss_pixels" in logged
    assert "val/rest/loss_classes" not in logged
    assert "val/some/loss_classes" in logged


def test_an_optimizer_is_fed_by_the_batches_that_have_its_terms(make_trainer: MakeTrainer) -> None:
    def parts() -> dict[str, Part]:
        return {
            "drawing": Part(
                optimizer=lambda own: SGD(own, lr=0.1), parts=["encoder", "decoder"], loss=["pixels"]
            ),
            "naming": Part(optimizer=lambda own: SGD(own, lr=0.1), parts=["head"], loss=["classes"], every=2),
        }

    model, by_hand = make(optimizers=parts(), optimizer=None), make()

    batches, _ = trained(make_trainer, model, max_epochs=2)

    networks, fed = by_hand.networks, 0
    drawing = SGD([*networks["encoder"].parameters(), *networks["decoder"].parameters()], lr=0.1)
    naming = SGD(networks["head"].parameters(), lr=0.1)
    for batch in batches:
        for optimizer in (drawing, naming):
            optimizer.zero_grad()
        terms = terms_of(networks, batch)
        fed += "classes" in terms
        terms["pixels"].backward(inputs=drawing.param_groups[0]["params"], retain_graph=True)
        if "classes" in terms and fed % 2 == 0:
            terms["classes"].backward(inputs=naming.param_groups[0]["params"])
            naming.step()
        drawing.step()
    assert fed == 4
    torch.testing.assert_close(model.networks.state_dict(), networks.state_dict())


def schedule() -> dict[str, Part]:
    made = Part(
        optimizer=lambda own: SGD(own, lr=0.1),
        lr_scheduler=partial(CosineAnnealingLR, T_max=0),
        parts=["encoder", "head", "decoder"],
        loss=["classes"],
    )
    return {"all": made}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"graph": {**GRAPH, "made": {"some": "decoder(code)", "more": "decoder(code)"}}},
            "no such source: more",
        ),
        (
            {"graph": {**GRAPH, "made": {"some": "decoder(code)"}}},
            "graph: made: expected a line for source rest",
        ),
        (
            {"graph": {**GRAPH, "logits": {"some": "head(code)"}}},
            "graph: logits: expected a line for source rest",
        ),
        (
            {
                "losses": {
                    **losses(),
                    "classes": Term(criterion=nn.L1Loss(), inputs=["code", "code"], source="x"),
                }
            },
            "losses: classes: no such source: x; there are some, rest",
        ),
    ],
)
def test_what_does_not_fit_the_sources_is_named_before_the_first_step(
    make_trainer: MakeTrainer, options: dict[str, Any], message: str
) -> None:
    watch = Watch()

    with pytest.raises(InputError, match=message):
        make_trainer(callbacks=[watch]).fit(make(**options), data())

    assert not watch.seen


def test_a_source_without_a_loss_is_named(make_trainer: MakeTrainer) -> None:
    model = make(
        networks={"encoder": f"{EXAMPLES}.Encoder", "head": LINEAR},
        graph={"logits": "head(encoder(image))"},
        losses={"classes": losses()["classes"]},
    )

    with pytest.raises(
        InputError, match="losses: expected one for source rest, got none; leave the source out"
    ):
        make_trainer().fit(model, data())


def test_a_schedule_whose_length_depends_on_the_turns_is_named(make_trainer: MakeTrainer) -> None:
    model = make(
        losses={**losses(), "pixels": Term(criterion=nn.MSELoss(), inputs=["made", "image"], weight=0)},
        optimizers=schedule(),
        optimizer=None,
    )

    with pytest.raises(
        InputError, match="all: expected the length of a schedule that only some sources feed"
    ):
        make_trainer().fit(model, data())


def test_pipelines_want_data_that_take_turns(make_trainer: MakeTrainer) -> None:
    with pytest.raises(InputError, match="no such source: some; let data be an Interleave"):
        make_trainer().fit(make(), Digits())


def test_lines_of_one_source_are_in_order_and_have_names_of_their_own() -> None:
    networks = ["net"]

    assert Wiring({"a": {"x": "net(f)"}, "b": {"y": "net(f)"}, "c": {"x": "net(a)", "y": "net(b)"}}, networks)
    with pytest.raises(InputError, match=r"c: x: net\(b\): b comes later"):
        Wiring({"c": {"x": "net(b)"}, "b": "net(f)"}, networks)
    with pytest.raises(InputError, match="got a, used twice"):
        Wiring({"a": {"x": "net(f)"}, "b, a": "net(f)"}, networks)


def test_examples_of_no_source_are_predicted_as_those_of_the_first(make_trainer: MakeTrainer) -> None:
    model = make(graph={**GRAPH, "logits": {"some": "head(code)", "rest": "head(detach(code))"}})
    batches, _ = trained(make_trainer, model)
    batch = batches[0]
    batch.source = ""

    expected = model.networks["head"](model.networks["encoder"](batch.image.float() / 255))

    torch.testing.assert_close(model.eval()(batch).logits, expected)


def test_the_picture_has_the_lines_and_losses_of_each_source() -> None:
    networks = nn.ModuleDict({"left": nn.Linear(2, 3), "right": nn.Linear(2, 3), "head": nn.Linear(3, 1)})
    graph = {"code": {"x": "left(features)", "y": "right(features)"}, "score": "head(code)"}
    wiring, example = Wiring(graph, list(networks)), VectorExample(features=torch.ones(4, 2))
    wiring.run(networks, example, source="x")
    assert wiring.is_seen
    terms = {"error": Term(criterion=nn.L1Loss(), inputs=["score", "code"], source="y")}

    boxes = boxes_of(wiring, networks, terms, {})

    names = [box.lines[0] for box in boxes]
    inputs = {box.lines[0]: [names[place] for place, _ in box.inputs] for box in boxes}
    assert inputs == {
        "features": [],
        "left": ["features"],
        "right": ["features"],
        "head": ["left", "right"],
        "loss error": ["head", "right"],
    }
    assert boxes[names.index("left")].lines[-1] == "of x"
    assert boxes[names.index("loss error")].lines[-1] == "of y"


@pytest.mark.faults
def test_two_processes_train_pipelines_as_one_does_with_twice_the_batch() -> None:
    networks = {name: f"{EXAMPLES}.{name.title()}" for name in ("encoder", "decoder")}
    terms: dict[str, Any] = {
        "classes": {
            "criterion": "torch.nn.CrossEntropyLoss",
            "inputs": ["logits", "target"],
            "source": "some",
        },
        "pixels": {"criterion": "torch.nn.MSELoss", "inputs": ["made", "image"], "source": "rest"},
    }
    settings: dict[str, Any] = {
        "num_threads": 1,
        "model": {
            "class_path": "Parts",
            "init_args": {
                "networks": {**networks, "head": LINEAR},
                "graph": {
                    "code": "encoder(image)",
                    "logits": "head(code)",
                    "made": {"rest": "decoder(code)"},
                },
                "prediction": {"multiclass": "logits"},
                "losses": terms,
                "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.003}},
            },
        },
        "trainer": {"accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 5},
    }
    for name, size in (("one", 32), ("two", 16)):
        digits = {"class_path": "Digits", "init_args": {"batch_size": size, "drop_last": True}}
        sources = {
            "sources": {"some": digits, "rest": digits},
            "labels": {"some": 64, "rest": 0},
            "until": 13,
        }
        settings["data"] = {"class_path": "Interleave", "init_args": sources}
        Path(f"{name}.yaml").write_text(yaml.safe_dump(settings))

    finish(start("--config=one.yaml", "--name=one"))
    unused = "--trainer.strategy=ddp_find_unused_parameters_true"
    finish(start("--config=two.yaml", "--name=two", "--trainer.devices=2", unused))

    assert_close_runs(only_run("one"), only_run("two"))
