"""(n) The cost of wiring networks in a config: a step of micro networks with two losses."""

from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
import yaml
from my_project.model import BaseModel
from my_project.structs import DataDescription, ImageExample, Loss, MulticlassPrediction
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from .overhead import BATCH_SIZE, EPOCH, LR, NUM_CLASSES, NUM_ROUNDS, make_loader, train_bare
from .project import RUNS, fit_on_fakes
from .ratio import Ratio
from .turns import alternate

SHAPE, WIDTH = (3, 16, 16), 32
NUM_PIXELS = 3 * 16 * 16
PARTS: dict[str, Any] = {
    "networks": {
        "flat": "torch.nn.Flatten",
        "encoder": {
            "class_path": "torch.nn.Linear",
            "init_args": {"in_features": NUM_PIXELS, "out_features": WIDTH},
        },
        "decoder": {
            "class_path": "torch.nn.Linear",
            "init_args": {"in_features": WIDTH, "out_features": NUM_PIXELS},
        },
        "head": {
            "class_path": "torch.nn.Linear",
            "init_args": {"in_features": WIDTH, "out_features": NUM_CLASSES},
        },
    },
    "graph": {
        "pixels": "flat(image)",
        "code": "encoder(pixels)",
        "again": "decoder(code)",
        "logits": "head(code)",
    },
    "prediction": {"multiclass": "logits"},
    "losses": {
        "classes": {"criterion": "torch.nn.CrossEntropyLoss", "inputs": ["logits", "target"]},
        "pixels": {"criterion": "torch.nn.MSELoss", "inputs": ["again", "pixels"]},
    },
}


def measure() -> list[Ratio]:
    """Seconds of one CPU per step, over whole epochs, as in (b)."""
    costs = alternate(
        {"graph": graph, "by hand": by_hand, "plain": plain, "bare graph": bare_graph}, NUM_ROUNDS
    )
    seconds = {name: [cost.cpu_s for cost in of_name] for name, of_name in costs.items()}
    pairs = {
        "(n) step of networks wired in a config / the same in a BaseModel by hand": ("graph", "by hand"),
        "(n) the same, without logger, bar and callbacks / a LightningModule by hand": (
            "bare graph",
            "plain",
        ),
    }
    return [
        Ratio(
            name=name,
            values=[a / b for a, b in zip(seconds[ours], seconds[theirs], strict=True)],
            at_most=1.1 if theirs == "by hand" else None,
            note=f"{1e6 * median(seconds[ours]):,.0f} / {1e6 * median(seconds[theirs]):,.0f} us",
        )
        for name, (ours, theirs) in pairs.items()
    ]


def graph() -> None:
    """``fit`` with everything on."""
    config = RUNS / "graph.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(yaml.safe_dump({"model": {"class_path": "Parts", "init_args": PARTS}}, sort_keys=False))
    _fit(f"--config={config}")


def by_hand() -> None:
    """``fit`` with everything on, of a model in Python."""
    _fit("--model=bench.graph.ByHand")


def bare_graph() -> None:
    """A bare Trainer and the graph."""
    from functools import partial

    from my_project.engine.graph import Term
    from my_project.model.parts import Parts

    criteria = {"classes": nn.CrossEntropyLoss(), "pixels": nn.MSELoss()}
    losses = {
        name: Term(criterion=criteria[name], inputs=term["inputs"]) for name, term in PARTS["losses"].items()
    }
    options = {name: value for name, value in PARTS.items() if name != "losses"}
    model = Parts(**options, losses=losses, optimizer=partial(torch.optim.SGD, lr=LR, fused=True))
    train_bare(model, make_loader(as_example))


def plain() -> None:
    """A bare Trainer and a LightningModule written by hand."""
    train_bare(Plain(), make_loader(as_example))


@dataclass(kw_only=True, eq=False)
class Coded(MulticlassPrediction):
    """Classes, and the reconstruction from the code."""

    again: Tensor
    pixels: Tensor


class Networks(nn.Module):
    """The networks of ``PARTS``."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(NUM_PIXELS, WIDTH)
        self.decoder = nn.Linear(WIDTH, NUM_PIXELS)
        self.head = nn.Linear(WIDTH, NUM_CLASSES)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pixels = (image.float() / 255).flatten(1)
        code = self.encoder(pixels)
        return self.head(code), self.decoder(code), pixels


class ByHand(BaseModel):
    """The graph as a model of the project, as its README suggests."""

    def __init__(self, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(data=DataDescription(num_outputs=num_classes), **kwargs)
        self.networks = Networks()

    def forward(self, example: ImageExample) -> Coded:
        logits, again, pixels = self.networks(example.image)
        return Coded(logits=logits, again=again, pixels=pixels)

    def compute_loss(self, example: ImageExample, prediction: Coded) -> Loss:
        assert example.target is not None
        return Loss(
            terms={
                "classes": cross_entropy(prediction.logits, example.target),
                "pixels": mse_loss(prediction.again, prediction.pixels),
            }
        )


class Plain(LightningModule):
    """The graph as one would write it in Lightning."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = Networks()

    def training_step(self, batch: ImageExample, batch_idx: int) -> Tensor:
        assert batch.target is not None
        logits, again, pixels = self.networks(batch.image)
        return cross_entropy(logits, batch.target) + mse_loss(again, pixels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=LR, fused=True)


def _fit(model: str) -> None:
    from my_project.__main__ import main

    optimizer = [
        "--model.optimizer=torch.optim.SGD",
        f"--model.optimizer.lr={LR}",
        "--model.optimizer.fused=true",
    ]
    main(["fit", model, *optimizer, *fit_on_fakes(SHAPE, NUM_CLASSES, BATCH_SIZE, EPOCH, NUM_ROUNDS + 2)])


def as_example(batch: tuple[Tensor, Tensor]) -> ImageExample:
    """A batch as the project has it."""
    return ImageExample(image=batch[0], target=batch[1])
