import json
from typing import Any

import optuna
import pytest
from my_project.engine.errors import InputError
from my_project.engine.sweep.space import as_options, grid, labels, parse_space


def test_a_grid_is_every_combination_in_a_stable_order() -> None:
    points = list(grid({"batch_size": [128, 256], "lr": [2e-3, 2e-4], "seed": 1}))

    assert points == [
        {"batch_size": 128, "lr": 2e-3, "seed": 1},
        {"batch_size": 128, "lr": 2e-4, "seed": 1},
        {"batch_size": 256, "lr": 2e-3, "seed": 1},
        {"batch_size": 256, "lr": 2e-4, "seed": 1},
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], "at least one choice, got an empty list"),
        ([1, 2, 1], "different choices, got 1 twice"),
        ([[0], [1], [0]], "different choices"),
        ({"uniform": [1, 0]}, "the smaller one first"),
        ({"log": [0, 1]}, "log with ends above zero"),
        ({"log": [-1, 1]}, "log with ends above zero"),
        ({"log": [1, 2], "step": 1}, "without step"),
        ({"int": [1, 2.5]}, "whole numbers"),
        ({"uniform": [0, float("nan")]}, "numbers, got"),
        ({"uniform": [0, "a"]}, "numbers, got"),
        ({"uniform": [0, 1, 2]}, "two ends"),
        ({"uniform": 3}, "two ends"),
        ({"int": [0, 4], "step": 5}, "a step within the range"),
        ({"lgo": [1, 2]}, "one of uniform, log, int"),
        ({"log": [1, 2], "uniform": [1, 2]}, "one of uniform, log, int"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(entry: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"space: lr: expected .*{message}"):
        parse_space({"lr": entry})


@pytest.mark.parametrize("raw", [None, {}, [], "lr"])
def test_no_space_is_refused(raw: Any) -> None:
    with pytest.raises(InputError, match="expected options of fit"):
        parse_space(raw)


def test_a_grid_of_a_range_is_refused() -> None:
    with pytest.raises(InputError, match="expected a list for a grid, got a range"):
        grid({"lr": {"log": [1e-3, 1]}})


def test_suggestions_are_of_the_space_and_what_is_fixed_is_not_suggested() -> None:
    raw = {
        "log": {"log": [1e-5, 1e-1]},
        "uniform": {"uniform": [0, 1], "step": 0.25},
        "int": {"int": [8, 32], "step": 8},
        "depths": [[0, 1], [1, 1]],
        "model": {"class_path": "ResNet", "init_args": {"width": 4}},
        "none": [None, True],
    }
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    space = parse_space(raw)
    drawn = []
    for _ in range(200):
        trial = study.ask()
        drawn.append({key: entry.suggest(trial, key) for key, entry in space.items()})

    assert min(point["log"] for point in drawn) < 1e-4
    assert max(point["log"] for point in drawn) > 1e-2
    assert sum(point["log"] < 1e-3 for point in drawn) == pytest.approx(100, abs=30)
    assert {point["uniform"] for point in drawn} == {0, 0.25, 0.5, 0.75, 1}
    assert {point["int"] for point in drawn} == {8, 16, 24, 32}
    assert {json.dumps(point["depths"]) for point in drawn} == {"[0, 1]", "[1, 1]"}
    assert {point["none"] for point in drawn} == {None, True}
    assert all(point["model"] == raw["model"] for point in drawn)
    assert set(study.ask().params) == set()
    assert "model" not in study.trials[0].params


def test_optuna_is_given_text_for_what_it_does_not_take() -> None:
    space = parse_space({"depths": [[0], [1]], "width": [1, 2], "seed": 3})

    assert labels(space, {"depths": [0], "width": 2, "seed": 3}) == {"depths": "[0]", "width": 2}


def test_points_become_options_of_fit() -> None:
    options = as_options({"a": "torch.optim.SGD", "b": 1e-5, "c": {"class_path": "ResNet"}, "d": False})

    assert options == ["--a=torch.optim.SGD", "--b=1e-05", '--c={"class_path": "ResNet"}', "--d=false"]
