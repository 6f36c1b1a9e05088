"""What several tests share."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import my_project
from my_project.data.fake import Fake
from my_project.model.resnet import ResNet
from pytorch_lightning import Trainer

MakeTrainer = Callable[..., Trainer]
MakeFake = Callable[..., Fake]
MakeNet = Callable[..., ResNet]
PROJECT = Path(my_project.__file__).parents[1]  # the rendered project

# A run of one step.
CONFIG: dict[str, Any] = {
    "model": {
        "class_path": "ResNet",
        "init_args": {
            "width": 4,
            "depths": [0],
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
        },
    },
    "data": {"class_path": "Fake", "init_args": {"num_train": 40, "num_test": 8}},
    "trainer": {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": 1},
}


def axes_of(example: Any, **axes: Any) -> tuple[list[Any]]:
    """What ``torch.export`` takes as ``dynamic_shapes`` of a struct, from axes by the names of fields."""
    return ([axes.get(field.name) for field in fields(example)],)
