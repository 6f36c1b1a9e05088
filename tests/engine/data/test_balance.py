"""Counts of classes and the accuracy of the largest one."""

from typing import Any

import torch
from my_project.engine.contracts import DataDescription, Example
from my_project.engine.data import BatchedData
from my_project.engine.data.balance import describe_counts


class Parts(BatchedData):
    """Given targets, and names for them."""

    def __init__(self, train: list[Any], val: list[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.targets = {"train": torch.tensor(train), "val": torch.tensor(val)}

    def load(self, split: str) -> Example | None:
        return Example(target=self.targets[split]) if split in self.targets else None

    def describe(self) -> DataDescription:
        return DataDescription(num_outputs=3, class_names=("ant", "bee", "cat"))


def balance(train: list[Any], val: list[Any]) -> dict[str, Any]:
    data = Parts(train, val)
    data.setup("fit")
    return data.balance()


def test_counts_are_of_training_and_the_baseline_of_validation() -> None:
    assert balance([2, 0, 2, 2, 0], [2, 1, 1, 0]) == {
        "class_counts": {"ant": 2, "bee": 0, "cat": 3},
        "majority_accuracy": 0.25,
    }


def test_of_several_labels_there_are_counts_and_of_values_nothing() -> None:
    assert balance([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]) == {
        "class_counts": {"ant": 2, "bee": 0, "cat": 1}
    }
    assert balance([[0.5, 0.1, 1.0]], [[0.1, 0.2, 0.3]]) == {}
    assert balance([0.5, 1.0], [1.0]) == {}


def test_many_classes_take_one_line() -> None:
    line = describe_counts({f"k{number}": number for number in range(1, 13)}, 0.2)

    assert line.startswith("classes: k12 12, k11 11, ")
    assert line.endswith(" k3 3, and 2 more down to k1 1; always k12 has accuracy 0.200")
    assert describe_counts({"a": 1, "b": 2}, None) == "labels: b 2, a 1"
