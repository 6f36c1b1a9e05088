"""What a model takes from its data by name, on the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from my_project.__main__ import main
from my_project.engine.config.linking import arguments_of

OWN = """
from dataclasses import replace

import torch
from my_project.data import BatchedData
from my_project.model import BaseModel
from my_project.structs import DataDescription, RegressionPrediction, VectorExample


class Rows(BatchedData):
    num_knots: int

    def __init__(self, data_dir: str = "", *, num_rows: int = 40, **kwargs):
        super().__init__(data_dir, **kwargs)
        self.num_rows, self.num_knots = num_rows, 7

    @property
    def depth(self) -> float:
        return 0.5

    def load(self, split):
        if split != "train":
            return None
        return VectorExample(features=torch.randn(self.num_rows, 3), target=torch.randn(self.num_rows, 2))


class Net(BaseModel):
    prediction_class = RegressionPrediction

    def __init__(
        self, *, data: DataDescription, num_rows: int, num_knots: int, depth=2.0, width: int = 5, **kwargs
    ):
        super().__init__(data=data, **kwargs)
        print("made of", data.num_outputs, data.shapes["features"], num_rows, num_knots, depth, width)
        self.net = torch.nn.Linear(*data.shapes["features"], data.num_outputs)

    def forward(self, example):
        return RegressionPrediction(values=self.net(example.features))


class Plain(BaseModel):
    prediction_class = RegressionPrediction

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        print("known", self.data.extras)
        self.net = torch.nn.Linear(3, 2)

    def forward(self, example):
        return RegressionPrediction(values=self.net(example.features))


class Named(Rows):
    def describe(self):
        return replace(super().describe(), extras={"names": ["1", "on"], "text": "{}"})


class Needs(Net):
    def __init__(self, *, num_moons: int, **kwargs):
        super().__init__(**kwargs)
        print("moons", num_moons)
"""
Fit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fit:
    """Runs one step of ``fit``; its exit status, what it printed and the last line of what it said."""
    # A name of its own in each test: modules stay imported.
    name = f"linked_{tmp_path.name}".replace("-", "_")
    Path(f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)

    def run(model: str, *options: str, data: str = "Rows", module: str = name) -> tuple[int, str, str]:
        paths = f"--model={module}.{model}", f"--data={name}.{data}"
        status = main(["fit", *paths, "--trainer.fast_dev_run=1", "--trainer.accelerator=cpu", *options])
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()[-1]

    return run


def test_each_argument_that_the_data_knows_comes_from_there(fit: Fit) -> None:
    status, printed, _ = fit("Net", "--data.init_args.num_rows=30", "--model.init_args.width=9")

    assert status == 0
    assert "made of 2 (3,) 30 7 0.5 9" in printed


def test_texts_that_the_data_knows_stay_texts(fit: Fit) -> None:
    status, printed, _ = fit("Plain", data="Named")

    assert status == 0
    assert "known {'names': ['1', 'on'], 'text': '{}'}" in printed


@pytest.mark.parametrize("prefix", ["--model.init_args", "--model"])
def test_what_is_given_is_not_replaced_by_what_the_data_knows(fit: Fit, prefix: str) -> None:
    status, printed, _ = fit("Net", f"{prefix}.num_knots=99", f"{prefix}.depth=3")

    assert status == 0
    assert "made of 2 (3,) 40 99 3.0 5" in printed


def test_a_config_is_looked_into_for_the_classes(fit: Fit, tmp_path: Path) -> None:
    name = f"linked_{tmp_path.name}".replace("-", "_")
    config: dict[str, Any] = {
        "model": {"class_path": f"{name}.Needs", "init_args": {"num_moons": 2}},
        "data": {"class_path": f"{name}.Rows"},
        "trainer": {"fast_dev_run": 1, "accelerator": "cpu"},
    }
    Path("own.yaml").write_text(yaml.safe_dump(config))

    assert main(["fit", "--config=own.yaml"]) == 0


def test_an_argument_that_nobody_gives_is_one_line(fit: Fit) -> None:
    status, _, last = fit("Needs")

    assert status == 2
    assert last.startswith("error: ")
    assert "no value for num_moons: give it in the config, or as an attribute of Rows" in last
    assert fit("Needs", "--model.init_args.num_moons=3")[0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_package", "cannot be imported: No module named 'no_such_package'"),
        ("from math import no_such_thing", "cannot be imported: cannot import name 'no_such_thing'"),
        ("", "expected the name or import path of a class, got"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(
    fit: Fit, tmp_path: Path, text: str, message: str
) -> None:
    name = f"broken_{tmp_path.name}".replace("-", "_")
    Path(f"{name}.py").write_text(text)

    status, _, last = fit("Net", module=name)

    assert status == 2
    assert last.startswith("error: ")
    assert message in last


def test_a_module_that_is_not_there_is_one_line(fit: Fit) -> None:
    status, _, last = fit("Net", module="no_such_module")

    assert (status, last[:7]) == (2, "error: ")
    assert "no_such_module" in last


class Base:
    def __init__(self, *, a: int, b: int = 2) -> None: ...


class Middle(Base):
    def __init__(self, c: int = 3, **kwargs: Any) -> None: ...


class Bottom(Middle):
    def __init__(self, *, a: int = 1, **kwargs: Any) -> None: ...


class Closed(Middle):
    def __init__(self, *, d: int) -> None: ...


class Silent(Bottom):
    pass


def test_arguments_are_those_that_reach_the_class() -> None:
    assert list(arguments_of(Bottom)) == list(arguments_of(Silent)) == ["a", "c", "b"]
    assert arguments_of(Bottom)["a"].default == 1
    assert list(arguments_of(Closed)) == ["d"]
