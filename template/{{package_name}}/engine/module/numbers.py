"""The metrics of all splits of a model, made once the number of outputs is known."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import torch
from torch import nn

from ..contracts import DataDescription, Example, Model, Prediction
from ..metrics import MetricPlan, SetMetrics, SplitMetrics
from .checks import compute_loss, predict

P = TypeVar("P", bound=Prediction)


class Numbers(nn.Module):
    """Metrics of training, validation and test.

    Args:
        plan: Which metrics to compute.
    """

    def __init__(self, plan: MetricPlan) -> None:
        super().__init__()
        self.plan, self.is_ready = plan, False
        self.train_split = SplitMetrics(None, "train/", keep_inputs=plan.needs_inputs)
        self.val_splits = SetMetrics("val", keep_inputs=plan.needs_inputs)
        self.test_splits = SetMetrics("test", keep_inputs=plan.needs_inputs)

    def begin(self, data: DataDescription, device: torch.device) -> None:
        """Begin a run: make the metrics anew, now or, if the data gives no number of outputs, in ``see``."""
        self.is_ready = False
        if data.num_outputs is not None:
            self.make(data, data.num_outputs, device)

    def make(self, data: DataDescription, num_outputs: int | None, device: torch.device) -> None:
        """Make the metrics for ``num_outputs``; ``None`` for predictions without such a number."""
        metrics = self.plan.make(num_outputs).to(device)
        for split in (self.train_split, *self.val_splits.all, *self.test_splits.all):
            split.set_metrics(metrics, data)
            split.to(device)  # with what was restored before
        self.is_ready = True

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore what training had collected, on ``device``: Lightning may have moved the model before."""
        self.train_split.load_state(state)
        self.train_split.to(device)

    def see(self, prediction: P, target: Any, data: DataDescription, device: torch.device) -> P:
        """Check a prediction against its target; make the metrics if the data gave no number of outputs."""
        if target is not None:
            prediction.check(target)
        if not self.is_ready:
            self.make(data, prediction.num_outputs, device)
        return prediction

    def evaluate(
        self, model: Model, batch: Example, num_own: int, splits: Sequence[SplitMetrics]
    ) -> dict[str, Any]:
        """Predict a batch, and add it to the metrics.

        Args:
            model: Makes the prediction.
            batch: A batch of validation or test.
            num_own: Number of examples at its front that are not repeats; see ``num_unrepeated``.
            splits: Splits that count the batch.

        Returns:
            ``prediction``, and ``example`` with the target that is predicted, without repeats.
        """
        batch, prediction = predict(model, batch[:num_own] if 0 < num_own < len(batch) else batch)
        self.see(prediction, batch.target, model.data, cast(torch.device, model.device))
        if num_own <= 0:
            return {"prediction": prediction[:0], "example": batch[:0]}
        loss = compute_loss(model, batch, prediction) if model.has_loss(batch) else None
        for split in splits:
            split.append(batch, prediction, loss)
        return {"prediction": prediction, "example": batch}
