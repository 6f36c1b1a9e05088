from dataclasses import dataclass

import numpy as np
import pytest
import torch
from my_project import metrics as own
from my_project.engine.errors import InputError
from my_project.engine.metrics import MetricPlan
from my_project.structs import BinaryPrediction, Example, MulticlassPrediction, MultilabelPrediction
from my_project.structs import RegressionPrediction as Regression
from torch import Tensor
from torchmetrics import MeanSquaredError, MetricCollection
from torchmetrics.classification import MulticlassF1Score

EXAMPLE = Example(target=torch.tensor([0, 1, 1, 1]))


def choose(specs: dict[str, object], num_outputs: int | None = 3) -> MetricCollection:
    return MetricPlan(specs, MulticlassPrediction, own=[own]).make(num_outputs)  # type: ignore[arg-type]


def test_metrics_of_torchmetrics_are_chosen_by_name() -> None:
    specs = {
        "accuracy": "Accuracy",
        "f1": {"class_path": "F1Score", "init_args": {"average": "macro"}},
        "recall": "torchmetrics.classification.MulticlassRecall",
        "given": MulticlassF1Score(num_classes=3, average="micro"),
        "entropy": "Entropy",
    }
    metrics = choose(specs)

    metrics.update(EXAMPLE, MulticlassPrediction(logits=torch.eye(3)[[0, 1, 0, 1]] * 5))

    values = metrics.compute()
    torch.testing.assert_close(values["accuracy"], torch.tensor(0.75))
    torch.testing.assert_close(values["recall"], torch.tensor((1 + 2 / 3) / 2))  # of the classes that occur
    torch.testing.assert_close(values["f1"], torch.tensor((2 / 3 + 4 / 5) / 2))
    torch.testing.assert_close(values["given"], torch.tensor(0.75))


def test_what_the_config_gives_counts_more_than_what_is_known() -> None:
    spec = {"class_path": "Accuracy", "init_args": {"num_classes": 7}}

    assert choose({"top": spec})["top"].metric.num_classes == 7


def test_a_metric_that_is_given_is_copied() -> None:
    given = MulticlassF1Score(num_classes=3)
    plan = MetricPlan({"f1": given}, MulticlassPrediction)

    plan.make(3).update(EXAMPLE, MulticlassPrediction(logits=torch.eye(3)[[0, 1, 0, 1]]))

    assert not given.update_called
    assert not plan.make(3)["f1"].update_called


def test_the_task_reaches_the_metric() -> None:
    metrics = MetricPlan({"auroc": "AUROC"}, BinaryPrediction).make(2)

    metrics.update(EXAMPLE, BinaryPrediction(logits=torch.tensor([0.3, 0.1, 0.5, 2.0])))

    torch.testing.assert_close(metrics.compute()["auroc"], torch.tensor(2 / 3))


def test_the_defaults_of_each_task_are_those_of_numpy() -> None:
    target = torch.tensor([[1, 0], [1, 1], [0, 1]])
    labels = MetricPlan(MultilabelPrediction.default_metrics, MultilabelPrediction).make(2)
    labels.update(
        Example(target=target), MultilabelPrediction(logits=torch.tensor([[3, -3], [3, -3], [3, 3.0]]))
    )
    values = torch.tensor([[1.0], [3.0], [5.0]])
    numbers = MetricPlan(Regression.default_metrics, Regression).make(1)
    numbers.update(Example(target=torch.tensor([[1.5], [3.0], [4.0]])), Regression(values=values))

    assert labels.compute()["f1"].item() == pytest.approx(0.75)  # 3 hits, one too many, one missed
    assert numbers.compute()["mae"].item() == pytest.approx(0.5)
    true = np.array([1.5, 3, 4])
    r2 = 1 - ((true - [1, 3, 5]) ** 2).sum() / ((true - true.mean()) ** 2).sum()
    assert numbers.compute()["r2"].item() == pytest.approx(r2)


@dataclass(kw_only=True, eq=False)
class Drawn(Example):
    image: Tensor


@dataclass(kw_only=True, eq=False)
class Redrawn(Regression):
    weight: Tensor | None = None


def test_fields_are_fed_by_their_names_and_pixels_are_scaled() -> None:
    spec = {"class_path": "MeanSquaredError", "fields": {"preds": "values", "target": "image"}}
    plan = MetricPlan({"mse": spec}, Redrawn)
    metrics = plan.make(None)

    image = torch.tensor([[0, 255], [51, 0]], dtype=torch.uint8)
    metrics.update(Drawn(image=image), Redrawn(values=torch.tensor([[0.0, 0.5], [0.2, 1.0]])))

    assert plan.needs_inputs
    assert metrics.compute()["mse"].item() == pytest.approx((0.25 + 1) / 4)
    assert not MetricPlan({"mse": MeanSquaredError()}, Redrawn).needs_inputs


def test_a_field_that_is_not_there_is_one_line() -> None:
    spec = {"class_path": "MeanSquaredError", "fields": {"preds": "reconstruction", "target": "image"}}
    metrics = MetricPlan({"mse": spec}, Redrawn).make(None)

    with pytest.raises(InputError, match=r"^no such field: reconstruction; there are image, values$"):
        metrics.update(Drawn(image=torch.zeros(2, 1)), Redrawn(values=torch.zeros(2, 1)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Acuracy", "got 'Acuracy'; try Accuracy"),
        ("torch.nn.Linear", "expected a metric's class name, got 'torch.nn.Linear'"),
        ("no_such_module.Metric", "expected a metric's class name"),
        ({"class_path": "F1Score", "init_args": {"averge": "macro"}}, "F1Score takes .*average"),
        ({"class": "F1Score"}, r"expected class_path, fields, init_args, got \['class'\]"),
    ],
)
def test_refuses(spec: str | dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose({"x": spec})
