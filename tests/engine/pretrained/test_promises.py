"""What docs/finetuning.md says beside the tests of the networks themselves."""

import logging
from functools import partial
from typing import Any

import pytest
import torch
from support import MakeFake, MakeTrainer

pytest.importorskip("my_project.model.pretrained", reason="rendered without the option pretrained")

import timm
from my_project.engine.module.optimizers import rates
from my_project.engine.pretrained import make_backbone
from my_project.engine.pretrained.probe import _key, _say
from my_project.engine.pretrained.weights import PACKAGES
from my_project.model.pretrained import Pretrained
from my_project.structs import DataDescription
from pytorch_lightning import Callback
from safetensors.torch import save_file
from torch.nn import functional

TINY = "test_resnet"
FIVE = DataDescription(num_outputs=5, shapes={"image": (3, 32, 32)})


def make(**options: Any) -> Pretrained:
    return Pretrained(**{"name": TINY, "data": FIVE, **options})


def configured(model: Pretrained) -> Any:
    return model.configure_optimizers()


def test_weights_come_from_safetensors_and_from_a_checkpoint_of_another_run() -> None:
    known = timm.create_model(TINY)
    save_file(known.state_dict(), "weights.safetensors")
    other = make(weights="weights.safetensors")
    torch.testing.assert_close(other.network.conv1[0].weight, known.conv1[0].weight, rtol=0, atol=0)

    torch.nn.init.ones_(other.network.fc.weight)
    other.normalize.set_statistics(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6]))
    torch.save({"state_dict": other.state_dict()}, "last.ckpt")
    again = make(weights="last.ckpt")
    torch.testing.assert_close(again.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_random_weights_take_the_statistics_of_the_data() -> None:
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
    model = make()
    model.use_statistics(mean, std)

    torch.testing.assert_close(model.normalize.mean.flatten(), mean)
    torch.testing.assert_close(model.normalize.std.flatten(), std)


@pytest.mark.parametrize(
    ("name", "kind", "attribute"),
    [
        ("test_resnet", "DropPath", "drop_prob"),
        ("torchvision.models.efficientnet_b0", "StochasticDepth", "p"),
    ],
)
def test_blocks_are_left_out_the_last_one_most_often(name: str, kind: str, attribute: str) -> None:
    model = make(name=name, drop_path=0.1)
    found = [vars(module)[attribute] for module in model.modules() if type(module).__name__ == kind]

    assert found == sorted(found)
    assert len(set(found)) > 2
    assert found[-1] == pytest.approx(0.1, abs=0.01)


def test_anything_else_is_handed_to_the_network() -> None:
    assert make(network_args={"drop_rate": 0.25}).network.drop_rate == 0.25


def test_a_cosine_ends_at_one_rate_for_all() -> None:
    cosine = partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=4, eta_min=1e-5)
    model = make(layer_decay=0.5, optimizer=partial(torch.optim.SGD, lr=0.1), lr_scheduler=cosine)
    made = configured(model)
    for _ in range(4):
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()

    assert {round(group["lr"], 8) for group in made["optimizer"].param_groups} == {1e-5}


def test_rates_bear_the_name_of_the_backbone_and_a_pattern_comes_first() -> None:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    model = make(backbone_scale=0.1, optimizer=optimizer, param_groups={"network.layer4.*": {"lr": 0.03}})
    said = rates([configured(model)["optimizer"]], [])

    assert {name: round(float(rate), 8) for name, rate in said.items()} == {
        "lr": 0.1,
        "lr_backbone": 0.01,
        "lr_network.layer4.*": 0.03,
    }


class Watch(Callback):
    """What is trained."""

    def __init__(self) -> None:
        self.trained: set[str] = set()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *args: Any) -> None:
        named = pl_module.network.named_parameters()
        self.trained |= {name.partition(".")[0] for name, one in named if one.requires_grad}


def test_what_a_stage_has_frozen_stays_frozen(make_trainer: MakeTrainer, make_fake: MakeFake) -> None:
    watch = Watch()
    data = make_fake(image_shape=(3, 16, 16), num_train=24)
    model = make(data=data.describe())
    model.requires_grad_(False)
    model.network.fc.requires_grad_(True)
    make_trainer(max_epochs=2, callbacks=[watch]).fit(model, data)

    assert watch.trained == {"fc"}


def test_features_have_a_file_for_each_set_of_weights_of_arguments_and_of_data(make_fake: MakeFake) -> None:
    first, other = make_fake(), make_fake(num_train=64)
    for data in (first, other):
        data.setup("fit")
    torch.manual_seed(0)
    models = [Pretrained(name=TINY, weights=None) for _ in range(2)]
    larger = Pretrained(name=TINY, weights=None, input_size=32)
    larger.load_state_dict(models[0].state_dict())
    keys = {_key(model, data) for model in (*models, larger) for data in (first, other)}

    assert len(keys) == 6
    assert _key(models[0], first) in keys


def test_a_probe_says_the_setting_that_is_best_in_validation(caplog: pytest.LogCaptureFixture) -> None:
    scores = {1: {"val": 0.5, "test": 0.9}, 5: {"val": 0.7, "test": 0.6}, 10: {"val": 0.6, "test": 0.8}}
    with caplog.at_level(logging.INFO):
        _say("nearest neighbours", "k", scores)

    expected = "nearest neighbours val/accuracy 0.7000 test/accuracy 0.6000 (k 5)"
    assert " ".join(caplog.messages[-1].split()) == expected


def test_a_linear_probe_trains_the_head_alone_in_all_epochs(
    make_trainer: MakeTrainer, make_fake: MakeFake
) -> None:
    watch = Watch()
    data = make_fake(image_shape=(3, 16, 16), num_train=24)
    make_trainer(max_epochs=2, callbacks=[watch]).fit(make(data=data.describe(), freeze_epochs=-1), data)

    assert watch.trained == {"fc"}


def test_the_network_of_the_package_pads_as_the_one_its_weights_come_from() -> None:
    """TensorFlow pads an image of even height below and on the right alone, where a stride is 2."""
    args = PACKAGES["efficientnet_lite0"].args
    network = make_backbone("efficientnet_lite0", None, 10, args).network
    image = torch.rand(2, 3, 64, 64)

    weight = network.get_parameter("conv_stem.weight")
    expected = functional.conv2d(functional.pad(image, (0, 1, 0, 1)), weight, stride=2)
    torch.testing.assert_close(network.get_submodule("conv_stem")(image), expected)
