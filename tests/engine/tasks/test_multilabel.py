"""Several labels at once, against NumPy."""

import numpy as np
import pytest
import torch
from my_project.structs import Example, MultilabelPrediction

LOGITS = torch.tensor([[2.0, -1.0, 0.0], [-3.0, -0.5, -2.0]])
TARGET = torch.tensor([[1, 1, 0], [0, 0, 0]])
PREDICTION = MultilabelPrediction(logits=LOGITS)
PROBS = 1 / (1 + np.exp(-LOGITS.double().numpy()))
NAMES = ["red", "round", "soft"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_each_number_is_the_mean_over_the_labels(dtype: torch.dtype) -> None:
    target = TARGET.to(dtype)
    missed = np.where(TARGET.numpy() == 1, 1 - PROBS, PROBS)

    PREDICTION.check(target)

    np.testing.assert_allclose(PREDICTION.preds, PROBS, rtol=1e-5)
    np.testing.assert_allclose(PREDICTION.nll(target), -np.log(1 - missed).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(PREDICTION.error(target), missed.mean(axis=1), rtol=1e-5)
    assert PREDICTION.for_metrics(target)[1].dtype == torch.int64
    assert PREDICTION.for_criterion(target)[1].dtype == torch.float32


def test_uncertainty_is_the_mean_binary_entropy_in_bits() -> None:
    entropy = -(PROBS * np.log2(PROBS) + (1 - PROBS) * np.log2(1 - PROBS))

    np.testing.assert_allclose(PREDICTION.uncertainty, entropy.mean(axis=1), rtol=1e-5)
    certain = MultilabelPrediction(logits=torch.tensor([[-200.0, 200.0]]))
    assert certain.uncertainty.tolist() == [0.0]


def test_class_indices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"target must be \(2, 3\) to match the prediction, got \(2,\)"):
        PREDICTION.check(torch.tensor([0, 1]))


def test_captions_name_the_labels_and_columns_give_their_probabilities() -> None:
    assert PREDICTION.captions(Example(target=TARGET), NAMES) == [
        "true red, round\npredicted red",
        "true none\npredicted none",
    ]
    assert PREDICTION.captions(Example(index=torch.arange(2)), NAMES) == ["predicted red", "predicted none"]
    columns = PREDICTION.columns(NAMES, TARGET)
    assert list(columns) == [*(f"true {name}" for name in NAMES), *NAMES]
    assert columns["true round"] == [1, 0]
    assert columns["soft"] == [f"{prob:.6f}" for prob in PROBS[:, 2]]
    assert list(PREDICTION.columns(NAMES)) == NAMES
