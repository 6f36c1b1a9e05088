"""Which class is mistaken for which."""

import torch
from torch import Tensor
from torchmetrics import Metric

from ..engine.contracts import IGNORED
from ..structs import Example, MulticlassPrediction


class ConfusionCounts(Metric):
    """Counts of true against predicted classes; examples without a target are not counted.

    Args:
        num_classes: ``K``; 2 for a binary model.
    """

    is_differentiable = False
    full_state_update = False
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, num_classes).long(), dist_reduce_fx="sum")

    def update(self, example: Example, prediction: MulticlassPrediction) -> None:
        """Add a batch."""
        if example.target is not None:
            # torchmetrics' takes N x K^2 numbers where algorithms must be deterministic, and waits elsewhere.
            is_known = example.target != IGNORED
            cells = (example.target.long() * self.num_classes + prediction.classes) * is_known
            self.counts.view(-1).index_add_(0, cells.flatten(), is_known.long().flatten())

    def compute(self) -> Tensor:
        """``(K, K)`` int64: a row per true class, a column per predicted one."""
        return self.counts
