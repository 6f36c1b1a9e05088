"""What each task makes of outputs: computed again with NumPy."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from my_project.engine.errors import InputError
from my_project.structs import (
    BinaryPrediction,
    MulticlassPrediction,
    MultilabelPrediction,
    Prediction,
    RegressionPrediction,
)
from torch import Tensor

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 4.0, 1.0], [1e4, -1e4, 0.0]])


def probs_of(logits: np.ndarray) -> np.ndarray:
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def entropy_of(probs: np.ndarray) -> np.ndarray:
    return np.array([-sum(p * np.log(p) for p in row if p > 0) for row in probs])


def test_derived_values_equal_those_of_numpy() -> None:
    prediction = MulticlassPrediction(logits=LOGITS)

    probs = probs_of(LOGITS.double().numpy())
    entropy = entropy_of(probs)
    torch.testing.assert_close(prediction.probs, torch.from_numpy(probs).float())
    torch.testing.assert_close(prediction.entropy, torch.from_numpy(entropy).float())
    torch.testing.assert_close(prediction.uncertainty, torch.from_numpy(entropy / math.log(3)).float())
    torch.testing.assert_close(prediction.confidence, torch.from_numpy(probs.max(axis=1)).float())
    assert prediction.classes.tolist() == [0, 0, 1, 0]


def test_half_precision_is_computed_in_float32() -> None:
    entropy = MulticlassPrediction(logits=LOGITS.bfloat16()).entropy

    assert entropy.dtype == torch.float32
    torch.testing.assert_close(entropy[1], torch.tensor(math.log(3)))


def test_one_output_is_two_classes() -> None:
    prediction = BinaryPrediction(logits=torch.tensor([2.0, -1.0, 0.0]))

    expected = MulticlassPrediction(logits=torch.tensor([[0.0, 2.0], [0.0, -1.0], [0.0, 0.0]]))
    torch.testing.assert_close(prediction.probs, expected.probs)
    torch.testing.assert_close(prediction.preds, torch.tensor([2.0, -1.0, 0.0]).sigmoid())
    torch.testing.assert_close(prediction.uncertainty, expected.entropy / math.log(2))
    assert prediction.classes.tolist() == [1, 0, 0]
    assert prediction.num_outputs == 2


@pytest.mark.parametrize(
    ("cls", "shape"), [(MulticlassPrediction, (3,)), (BinaryPrediction, (3, 1)), (RegressionPrediction, (3,))]
)
def test_refuses_a_wrong_rank(cls: Any, shape: tuple[int, ...]) -> None:
    name = "values" if cls is RegressionPrediction else "logits"
    with pytest.raises(ValueError, match=f"{name} must be"):
        cls(**{name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        (RegressionPrediction(values=torch.zeros(4, 1)), torch.zeros(4)),
        (MultilabelPrediction(logits=torch.zeros(4, 3)), torch.zeros(4, dtype=torch.int64)),
        (BinaryPrediction(logits=torch.zeros(4)), torch.zeros(4, 1)),
        (MulticlassPrediction(logits=torch.zeros(4, 3)), torch.zeros(4)),
    ],
)
def test_refuses_targets_that_do_not_fit(prediction: Prediction, target: Tensor) -> None:
    with pytest.raises(InputError, match=r"target must be \(4.*, got \(4"):
        prediction.check(target)


def test_columns_hold_the_class_and_all_probabilities() -> None:
    columns = MulticlassPrediction(logits=LOGITS).columns(["cat", "dog", "eel"])

    assert list(columns) == ["class", "probability", "entropy", "cat", "dog", "eel"]
    assert columns["class"] == ["cat", "cat", "dog", "cat"]
    assert columns["probability"][1] == columns["eel"][1] == "0.333333"
    assert columns["entropy"][1] == f"{math.log(3):.6f}"
    assert [columns[name][3] for name in ("cat", "dog", "eel")] == ["1.000000", "0.000000", "0.000000"]


def test_a_prediction_of_one_output_has_no_pixels() -> None:
    prediction = BinaryPrediction(logits=torch.zeros(4))

    assert prediction.flat() is prediction


def test_an_empty_batch_knows_how_many_values_there_are() -> None:
    assert RegressionPrediction(values=torch.zeros(0, 2)).num_outputs == 2
