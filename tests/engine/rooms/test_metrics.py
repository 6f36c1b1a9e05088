"""The metrics of the user's rooms, against NumPy."""

import numpy as np
import pytest
import torch
from my_project.metrics import bin_uncertainty


@pytest.mark.parametrize("num_bins", [1, 4, 16])
def test_bins_are_those_of_a_histogram_whose_last_one_is_closed(num_bins: int) -> None:
    values = np.repeat(np.arange(17) / 16, 3)  # all edges of bins, 0 and 1 among them
    is_wrong = np.arange(len(values)) % 4 == 0
    weights = np.ones(len(values)), is_wrong, values

    bins = bin_uncertainty(torch.tensor(values), torch.tensor(is_wrong), num_bins=num_bins)

    expected = [
        np.histogram(values, num_bins, range=(0, 1), weights=weight.astype(float))[0] for weight in weights
    ]
    np.testing.assert_allclose(bins.numpy(), expected, rtol=1e-6)
