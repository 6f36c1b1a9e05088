import pytest
import torch
from my_project import metrics as own
from my_project.engine.errors import InputError
from my_project.engine.metrics.select import select_metrics
from my_project.structs import BinaryPrediction, Example, Prediction
from torchmetrics.classification import MulticlassF1Score

EXAMPLE = Example(image=torch.empty(4, 0, 0, 0), target=torch.tensor([0, 1, 1, 1]))


def test_metrics_of_torchmetrics_are_chosen_by_name() -> None:
    specs = {
        "accuracy": "Accuracy",
        "f1": {"class_path": "F1Score", "init_args": {"average": "macro"}},
        "recall": "torchmetrics.classification.MulticlassRecall",
        "given": MulticlassF1Score(num_classes=3, average="micro"),
        "entropy": "Entropy",
    }
    logits = torch.eye(3)[[0, 1, 0, 1]] * 5
    metrics = select_metrics(specs, task="multiclass", num_classes=3, own=(own,))  # type: ignore[arg-type]

    metrics.update(EXAMPLE, Prediction(logits=logits))

    values = metrics.compute()
    torch.testing.assert_close(values["accuracy"], torch.tensor(0.75))
    torch.testing.assert_close(values["recall"], torch.tensor((1 + 2 / 3) / 2))  # of the classes that occur
    torch.testing.assert_close(values["f1"], torch.tensor((2 / 3 + 4 / 5) / 2))
    torch.testing.assert_close(values["given"], torch.tensor(0.75))


def test_the_task_reaches_the_metric() -> None:
    metrics = select_metrics({"auroc": "AUROC"}, task="binary", num_classes=2)

    metrics.update(EXAMPLE, BinaryPrediction(logits=torch.tensor([0.3, 0.1, 0.5, 2.0])))

    torch.testing.assert_close(metrics.compute()["auroc"], torch.tensor(2 / 3))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Acuracy", "got 'Acuracy'; try Accuracy"),
        ("torch.nn.Linear", "expected a metric's class name, got 'torch.nn.Linear'"),
        ("no_such_module.Metric", "expected a metric's class name"),
        ({"class_path": "F1Score", "init_args": {"averge": "macro"}}, "F1Score takes .*average"),
        ({"class": "F1Score"}, r"expected class_path and init_args, got \['class'\]"),
    ],
)
def test_refuses(spec: str | dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        select_metrics({"x": spec}, task="multiclass", num_classes=3)
