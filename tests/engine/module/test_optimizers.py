from functools import partial
from typing import Any

import pytest
import torch
from my_project.engine.module.optimizers import configure, make_optimizer, rates
from my_project.engine.schedules import open_lengths, takes
from pytorch_lightning import cli
from torch import nn
from torch.optim import SGD, AdamW, lr_scheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, ReduceLROnPlateau, StepLR


def make_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))


def groups_of(optimizer: torch.optim.Optimizer) -> list[tuple[set[int], float]]:
    """Of each group: which parameters, and how they are decayed."""
    return [
        ({id(parameter) for parameter in group["params"]}, group.get("weight_decay", 0.0))
        for group in optimizer.param_groups
    ]


def ids(*parameters: nn.Parameter) -> set[int]:
    return {id(parameter) for parameter in parameters}


def test_weights_are_decayed_but_neither_biases_nor_norms() -> None:
    net = make_net()
    optimizer = make_optimizer(partial(SGD, lr=0.1, weight_decay=0.5), net.parameters())

    conv, norm, _, linear = net
    assert groups_of(optimizer) == [
        (ids(conv.weight, linear.weight), 0.5),
        (ids(conv.bias, norm.weight, norm.bias, linear.bias), 0.0),
    ]


def test_the_default_of_a_class_decays_the_weights_alone() -> None:
    groups = groups_of(make_optimizer(AdamW, make_net().parameters()))

    assert [decay for _, decay in groups] == [0.01, 0.0]


def test_what_is_frozen_is_left_out() -> None:
    net = make_net()
    net[0].requires_grad_(False)
    net[3].weight.requires_grad_(False)

    ((trained, decay),) = groups_of(make_optimizer(partial(SGD, lr=0.1, weight_decay=0.5), net.parameters()))

    assert trained == ids(net[1].weight, net[1].bias, net[3].bias)
    assert decay == 0.0


def test_an_optimizer_without_decay_gets_one_group() -> None:
    net = make_net()
    (group,) = make_optimizer(torch.optim.LBFGS, net.parameters()).param_groups

    assert ids(*group["params"]) == ids(*net.parameters())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (partial(OneCycleLR, max_lr=0.1), ["total_steps"]),
        (partial(OneCycleLR, max_lr=0.1, total_steps=9), []),
        (partial(CosineAnnealingLR, T_max=0), ["T_max"]),
        (CosineAnnealingLR, ["T_max"]),
        (partial(CosineAnnealingLR, T_max=77), []),
        (LinearLR, []),  # whose default is 5
        (partial(LinearLR, total_iters=0), ["total_iters"]),
        (partial(StepLR, step_size=3), []),
    ],
)
def test_a_length_is_open_where_it_is_left_out_or_0(make: Any, expected: list[str]) -> None:
    assert open_lengths(make) == expected


def test_an_open_length_becomes_that_of_the_run() -> None:
    made = configure(
        partial(SGD, lr=0.1), partial(CosineAnnealingLR, T_max=0), make_net().parameters(), lambda: 12
    )

    assert made["lr_scheduler"]["interval"] == "step"
    assert made["lr_scheduler"]["scheduler"].T_max == 12
    assert made["lr_scheduler"]["scheduler"].optimizer is made["optimizer"]


@pytest.mark.parametrize("schedule", [None, partial(CosineAnnealingLR, T_max=77)])
def test_the_length_of_the_run_is_asked_for_only_where_it_is_open(schedule: Any) -> None:
    def refuse() -> int:
        raise AssertionError("asking loads the data before a resumed run knows where it stands")

    assert "optimizer" in configure(partial(SGD, lr=0.1), schedule, make_net().parameters(), refuse)


@pytest.mark.parametrize(
    ("make", "monitor"),
    [
        (partial(ReduceLROnPlateau, patience=2), "val/loss"),
        (partial(cli.ReduceLROnPlateau, monitor="val/accuracy"), "val/accuracy"),
    ],
)
def test_a_plateau_is_looked_for_once_an_epoch(make: Any, monitor: str) -> None:
    config = configure(partial(SGD, lr=0.1), make, make_net().parameters(), lambda: 12)["lr_scheduler"]

    assert config["monitor"] == monitor
    assert "interval" not in config, "an epoch is Lightning's default"


def test_takes_looks_at_the_class_behind_what_a_config_makes() -> None:
    def instantiate(cls: type, *args: Any, **kwargs: Any) -> Any:
        return cls(*args, **kwargs)

    made = partial(instantiate, SGD, lr=0.1)  # as jsonargparse does

    assert takes(made, "weight_decay")
    assert not takes(made, "T_max")
    assert isinstance(make_optimizer(made, make_net().parameters()), SGD)
    assert open_lengths(partial(instantiate, lr_scheduler.CosineAnnealingLR, T_max=0)) == ["T_max"]


def test_the_rate_of_each_optimizer_and_group_has_a_name() -> None:
    one, two, three = (nn.Linear(1, 1) for _ in range(3))
    groups = [
        {"params": one.weight, "lr": 0.1},
        {"params": one.bias, "lr": 0.1, "weight_decay": 0.0},
        {"params": two.parameters(), "lr": 0.01, "pattern": "two.*"},
        {"params": three.parameters(), "lr": 0.5},
    ]

    optimizer = torch.optim.AdamW(groups)
    assert rates([optimizer], []) == {"lr": 0.1, "lr_two.*": 0.01, "lr_3": 0.5}
    other = torch.optim.SGD(three.parameters(), lr=0.2)
    assert rates([optimizer, other], ["body", "head"]) == {
        "lr_body": 0.1,
        "lr_body_two.*": 0.01,
        "lr_body_3": 0.5,
        "lr_head": 0.2,
    }
