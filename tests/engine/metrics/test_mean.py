import torch
from my_project.engine.metrics.mean import Mean


def test_values_count_by_their_weights() -> None:
    mean = Mean()
    mean.update(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    mean.update(torch.tensor([10.0]), torch.tensor([4.0]))

    torch.testing.assert_close(mean.compute(), torch.tensor((1 + 6 + 40) / 8))


def test_nan_is_not_hidden() -> None:
    mean = Mean()
    mean.update(torch.tensor([1.0, float("nan")]), torch.ones(2))

    assert mean.compute().isnan()
