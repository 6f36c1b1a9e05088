"""A mean over examples, from values per batch or per example."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """Weighted mean; NaN before the first value, and once a value is NaN.

    Stands in for ``torchmetrics.MeanMetric``, which either waits for the device at each update to look for
    NaN or, with ``nan_strategy="disable"``, ignores the weights (torchmetrics 1.9.0).
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, values: Tensor, weights: Tensor) -> None:
        """Add ``values`` with ``weights``, both ``(N,)`` float."""
        self.total += (values * weights.to(values)).sum()
        self.count += weights.sum()

    def compute(self) -> Tensor:
        """``()`` float32, over all ranks."""
        return self.total / self.count
