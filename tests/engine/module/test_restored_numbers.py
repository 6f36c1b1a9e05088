"""What is restored goes where the model is: ``meta`` stands for a GPU."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from my_project.engine.metrics import MetricPlan, SplitMetrics
from my_project.engine.module.numbers import Numbers
from my_project.structs import DataDescription, Example, Loss, MulticlassPrediction
from support import MakeNet
from torch import Tensor
from torchmetrics import Metric

PLAN = MetricPlan({"accuracy": "Accuracy"}, MulticlassPrediction)


@pytest.fixture
def state() -> Any:
    """Of a training that was stopped inside an epoch."""
    split = SplitMetrics(PLAN.make(4), "train/")
    example, logits = Example(target=torch.tensor([1, 2])), torch.eye(4)[:2]
    split.append(example, MulticlassPrediction(logits=logits), Loss(terms={"a": torch.tensor(1.0)}))
    split.flush()
    return split.state()


def devices_of(split: SplitMetrics) -> set[str]:
    metrics = [module for module in split.modules() if isinstance(module, Metric)]
    states = [value for metric in metrics for value in metric.metric_state.values()]
    assert len(metrics) > 3
    return {value.device.type for value in states if isinstance(value, Tensor)}


def test_what_was_restored_before_the_metrics_were_known(state: Any) -> None:
    numbers = Numbers(PLAN)
    numbers.train_split.load_state(state)
    numbers.make(DataDescription(), 4, torch.device("meta"))

    assert devices_of(numbers.train_split) == {"meta"}


def test_what_is_restored_when_the_model_is_on_its_device(
    state: Any, make_net: MakeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_net(metrics={"accuracy": "Accuracy"}).to("meta")
    model.numbers.make(DataDescription(), 4, torch.device("meta"))
    trainer = SimpleNamespace(state=SimpleNamespace(fn="fit"), world_size=1, global_rank=0)
    monkeypatch.setattr(type(model), "trainer", trainer)
    parts = {"gradients": {}, "norms": {}, "fed": {}}
    model.on_load_checkpoint({"progress": [{"window": [], "metrics": state, "parts": parts}]})

    assert devices_of(model.numbers.train_split) == {"meta"}
