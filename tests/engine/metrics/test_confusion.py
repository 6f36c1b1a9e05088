"""Counting pairs of classes takes no more memory where algorithms must be deterministic."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from my_project.metrics import ConfusionCounts
from my_project.structs import Example, MulticlassPrediction
from torch.utils._python_dispatch import TorchDispatchMode


class Largest(TorchDispatchMode):
    """Notes the largest tensor that an operation gives."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.size = max(self.size, result.numel())
        return result


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("deterministic")
def test_memory_grows_with_the_classes_and_the_examples_alone() -> None:
    num_examples, num_classes = 300, 100
    target = torch.randint(0, num_classes, (num_examples,))
    prediction = MulticlassPrediction(logits=torch.randn(num_examples, num_classes))
    counts = ConfusionCounts(num_classes)
    with Largest() as largest:
        counts.update(Example(target=target), prediction)

    assert largest.size <= num_examples * num_classes
    assert counts.compute().sum() == num_examples


def test_counts_are_exact_beyond_what_float32_holds() -> None:
    counts = ConfusionCounts(2)
    counts.counts += 2**24
    example = Example(target=torch.tensor([1], dtype=torch.uint8))
    counts.update(example, MulticlassPrediction(logits=torch.tensor([[0.0, 1.0]])))

    assert counts.compute().tolist() == [[2**24, 2**24], [2**24, 2**24 + 1]]
