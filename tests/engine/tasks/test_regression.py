"""Numbers, against NumPy."""

import numpy as np
import pytest
import torch
from my_project.structs import Example, RegressionPrediction

VALUES = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]])
TARGET = torch.tensor([[1.5, 2.0], [1.0, 0.0], [0.0, 4.0]])
PREDICTION = RegressionPrediction(values=VALUES)
NAMES = ["width", "height"]


def test_each_number_is_the_mean_over_the_values() -> None:
    gaps = (VALUES - TARGET).double().numpy()

    PREDICTION.check(TARGET)

    np.testing.assert_allclose(PREDICTION.nll(TARGET), (gaps**2).mean(axis=1) / 2, rtol=1e-6)
    np.testing.assert_allclose(PREDICTION.error(TARGET), np.abs(gaps).mean(axis=1), rtol=1e-6)
    assert PREDICTION.num_outputs == 2
    assert torch.equal(PREDICTION.preds, VALUES)


def test_one_value_is_measured_without_its_axis() -> None:
    prediction = RegressionPrediction(values=VALUES[:, :1])
    preds, target = prediction.for_metrics(TARGET[:, :1])

    assert preds.tolist() == [1, -3, 0]
    assert target.tolist() == [1.5, 1, 0]
    assert RegressionPrediction.metric_args(1) == {}
    assert RegressionPrediction.metric_args(2) == {"num_outputs": 2}


def test_a_target_that_would_be_broadcast_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target must be \(3, 1\) to match the prediction, got \(3,\)"):
        RegressionPrediction(values=VALUES[:, :1]).check(TARGET[:, 0])


def test_captions_and_columns_give_the_values() -> None:
    assert PREDICTION.captions(Example(target=TARGET), NAMES)[0] == "true 1.5, 2\npredicted 1, 2"
    assert PREDICTION.captions(Example(index=torch.arange(3)), NAMES)[1] == "predicted -3, 0.5"
    columns = PREDICTION.columns(NAMES, TARGET)
    assert list(columns) == ["true width", "true height", "width", "height"]
    assert columns["true height"] == ["2.000000", "0.000000", "4.000000"]
    assert columns["width"] == ["1.000000", "-3.000000", "0.000000"]
    assert list(PREDICTION.columns(NAMES)) == NAMES


def test_what_a_task_cannot_say_is_named() -> None:
    with pytest.raises(NotImplementedError, match="RegressionPrediction must define uncertainty"):
        _ = PREDICTION.uncertainty
