"""What augmentation and pictures add to the operations of a step, each of which a GPU is told one by one."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import yaml
from my_project.engine.augment import PhotoAugment
from my_project.engine.instruments import TopBottomK
from my_project.engine.instruments.ranking import score
from my_project.structs import DataDescription, ImageExample
from support import PROJECT
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("my_project.model.pretrained", reason="rendered without the option pretrained")

from my_project.model.pretrained import Pretrained

NUM_BATCHES = 15
NOTHING_DONE = ("detach", "alias", "empty", "lift_fresh", "_unsafe_view", "record_function")


class Count(TorchDispatchMode):
    """Counts what computes or copies, and leaves out what only looks at memory otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.num = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.num += not (func.is_view or any(name in str(func) for name in NOTHING_DONE))
        return func(*args, **(kwargs or {}))


def count(call: Callable[[], Any]) -> int:
    with Count() as counted:
        call()
    return counted.num


def test_they_add_a_quarter_to_the_step_of_the_network_that_the_config_fine_tunes() -> None:
    config = yaml.safe_load((PROJECT / "configs" / "finetune.yaml").read_text())
    options = config["model"]["init_args"]
    model = Pretrained(
        name=options["name"],
        data=DataDescription(num_outputs=10),
        optimizer=partial(torch.optim.AdamW, lr=1e-3, fused=True),  # else it has more operations than all
    )
    made: Any = model.configure_optimizers()
    augment = PhotoAugment(**config["data"]["init_args"]["augment"]["init_args"], size=(32, 32))
    batch = ImageExample(
        image=torch.zeros(2, 3, 40, 40, dtype=torch.uint8), target=torch.arange(2), index=torch.arange(2)
    )
    top = TopBottomK(8)

    def step() -> Any:
        prediction = model(seen)
        model.compute_loss(seen, prediction).total.backward()
        made["optimizer"].step()
        return prediction.detach()

    def rank() -> None:
        for _ in range(NUM_BATCHES):
            top.update(score("error", large, prediction, model), large, prediction)
        top.state()

    seen = augment(batch, seed=0, epoch=0)
    large = replace(seen, image=torch.zeros(2, 3, 512, 512, dtype=torch.uint8))  # ranked one by one
    prediction = step()
    of_step, of_augment = count(step), count(lambda: augment(batch, seed=0, epoch=0))
    of_ranking = count(rank) / NUM_BATCHES

    assert of_step > 350
    assert 50 < of_augment + of_ranking <= 0.25 * of_step
