"""The metrics of all splits of a model, made when it is known how many outputs there are."""

from typing import Any, TypeVar

import torch
from torch import nn

from ..contracts import DataDescription, Prediction
from ..metrics import MetricPlan, SplitMetrics, ValMetrics

P = TypeVar("P", bound=Prediction)


class Numbers(nn.Module):
    """Metrics of training, validation and test.

    Args:
        plan: What is computed.
    """

    def __init__(self, plan: MetricPlan) -> None:
        super().__init__()
        self.plan, self.is_ready = plan, False
        self.train_split = SplitMetrics(None, "train/", keep_inputs=plan.needs_inputs)
        self.val_splits = ValMetrics(keep_inputs=plan.needs_inputs)
        self.test_split = SplitMetrics(None, "test/", keep_inputs=plan.needs_inputs)

    def begin(self, data: DataDescription, device: torch.device) -> None:
        """Begin a run; what was known of another does not count."""
        self.is_ready = False
        if data.num_outputs is not None:
            self.make(data, data.num_outputs, device)

    def make(self, data: DataDescription, num_outputs: int | None, device: torch.device) -> None:
        """Make the metrics, for so many outputs."""
        metrics = self.plan.make(num_outputs).to(device)
        for split in (self.train_split, *self.val_splits.all, self.test_split):
            split.set_metrics(metrics, data)
            split.to(device)  # with what was restored before
        self.is_ready = True

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from what training had collected; a divided model is on its device already."""
        self.train_split.load_state(state)
        self.train_split.to(device)

    def see(self, prediction: P, target: Any, data: DataDescription, device: torch.device) -> P:
        """Check a prediction against its target; make the metrics if the data gave no number of outputs."""
        if target is not None:
            prediction.check(target)
        if not self.is_ready:
            self.make(data, prediction.num_outputs, device)
        return prediction
