from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.model import BaseModel, load_model
from my_project.model.resnet import ResNet
from my_project.structs import DataDescription
from support import MakeFake, MakeTrainer
from torch import nn


class Own(BaseModel):
    def __init__(self, *, sizes: list[int], names: Any = None, act: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layers = nn.ModuleList(nn.Linear(size, size) for size in sizes)


class Narrow(ResNet):
    """Passes on more than it is given."""

    def __init__(self, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(num_classes=num_classes, width=4, depths=(0,), **kwargs)


def test_what_is_plain_is_kept_and_what_is_of_training_is_not() -> None:
    names = {"first": ("a", 1.5, None, [True])}
    model = Own(
        sizes=[1, 2],
        names=names,
        act=nn.ReLU(),
        optimizer=torch.optim.SGD,
        metrics={"top": "Accuracy"},
        use_compile=True,
    )

    assert dict(model.hparams) == {"sizes": [1, 2], "names": names}


def test_arguments_that_are_not_given_or_not_of_the_class_are_not_kept() -> None:
    assert dict(Own(sizes=[]).hparams) == {"sizes": []}
    assert dict(Narrow(num_classes=3).hparams) == {"num_classes": 3}


@pytest.mark.parametrize("takes_data", [True, False])
def test_a_checkpoint_says_whether_the_model_takes_the_description(takes_data: bool) -> None:
    data = DataDescription(num_outputs=3, extras={"vocabulary": ["a", "b"]})
    model = Own(sizes=[1], **({"data": data} if takes_data else {}))
    model.data = data

    description = model.description(None)

    assert description["takes_data"] == takes_data
    assert description["data"] == {
        "num_outputs": 3,
        "class_names": (),
        "shapes": {},
        "extras": {"vocabulary": ["a", "b"]},
    }
    assert description["model_class"].endswith("test_hyperparameters.Own")


OWN = """
from my_project.model.resnet import ResNet

class Described(ResNet):
    def __init__(self, *, data, **kwargs):
        super().__init__(num_classes=data.num_outputs, width=4, depths=(0,), stem_stride=1, **kwargs)
        self.names = data.class_names
"""


def test_a_model_is_built_again_from_the_description_in_its_checkpoint(
    make_trainer: MakeTrainer, make_fake: MakeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("described.py").write_text(OWN)
    monkeypatch.syspath_prepend(Path.cwd())
    from described import Described  # type: ignore[import-not-found] # pyright: ignore[reportMissingImports]

    data = make_fake()
    weight = torch.tensor([1.0, 2.0, 1.0, 1.0])  # a weight of the loss, which who predicts does not need
    model = Described(data=data.describe(), criterion=nn.CrossEntropyLoss(weight=weight))
    trainer = make_trainer(max_steps=1, limit_val_batches=0)
    trainer.fit(model, data)
    trainer.save_checkpoint("own.ckpt")

    loaded = load_model("own.ckpt")

    assert type(loaded) is Described
    assert loaded.names == tuple(f"pattern {number}" for number in range(4))
    assert loaded.data == data.describe()
    assert loaded.data_class == "my_project.data.fake.Fake"
    torch.testing.assert_close(loaded.head.weight, model.head.weight)
