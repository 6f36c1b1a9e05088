"""Precision against recall for each label, as a picture."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from .. import plots
from ..engine.contracts import describe_model
from ..engine.errors import check_least
from ..engine.instruments import Instrument, title_of
from ..engine.loggers import log_figure
from ..engine.metrics import SplitMetrics
from ..structs import Example, MultilabelPrediction

# Okabe and Ito's palette, which the colour-blind can tell apart: the worst label first.
COLOURS = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7")
MAX_LOGIT = 12.0  # beyond it a probability differs from 0 or 1 by 6e-6
MAX_NAME = 24  # characters of a label's name


class LabelCounts(Metric):
    """Counts each label's predictions by their log-odds, separately for examples without and with it.

    The probabilities of a trained network lie close to 0 and 1, where evenly spaced thresholds on the
    log-odds still tell them apart. Examples without a target are not counted.

    Args:
        num_labels: ``K``.
        num_thresholds: ``T``, evenly spaced from -12 to 12.
    """

    is_differentiable = False
    full_state_update = False
    counts: Tensor
    thresholds: Tensor

    def __init__(self, num_labels: int, num_thresholds: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(2, num_labels, num_thresholds + 1).long(), dist_reduce_fx="sum")
        self.register_buffer("thresholds", torch.linspace(-MAX_LOGIT, MAX_LOGIT, num_thresholds))

    def update(self, example: Example, prediction: MultilabelPrediction) -> None:
        """Add a batch."""
        if example.target is not None:
            _, num_labels, num_bins = self.counts.shape
            logits = prediction.logits.float().contiguous()
            labels = torch.arange(num_labels, device=logits.device)
            rows = (example.target > 0.5).long() * num_labels + labels
            cells = rows * num_bins + torch.bucketize(logits, self.thresholds, right=True)
            self.counts.view(-1).index_add_(0, cells.flatten(), torch.ones_like(cells).flatten())

    def compute(self) -> Tensor:
        """``(2, K, T + 1)`` int64: without the label and with it, from below to above all thresholds."""
        return self.counts


class PrecisionRecall(Instrument):
    """Shows the curve of each label for each validation set and the test set as ``val/precision_recall``.

    The five labels with the lowest average precision are named.

    Args:
        num_thresholds: Number of points of a curve.
        every_n_epochs: See ``Instrument``.

    Raises:
        InputError: ``num_thresholds`` is below 2.
    """

    serves = MultilabelPrediction

    def __init__(self, num_thresholds: int = 385, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        check_least(2, num_thresholds=num_thresholds)
        self.num_thresholds = num_thresholds

    def add(
        self, split: str, example: Example, prediction: MultilabelPrediction, model: LightningModule
    ) -> None:
        if split not in self.states:
            counts = MetricCollection({"counts": LabelCounts(prediction.num_outputs, self.num_thresholds)})
            self.states[split] = SplitMetrics(counts, prefix="").to(prediction.logits.device)
        self.states[split].append(example, prediction, None)

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        counts = self.states[split].compute()["counts"].cpu().numpy()
        if self.is_drawn(trainer) and counts[1].any():
            names = describe_model(model).name_outputs(counts.shape[1])
            figure = draw_curves(counts, names, title_of(split, trainer))
            self.send(trainer, log_figure, f"{split}/precision_recall", plots.to_image(figure))


def precision_recall(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves from counts.

    Args:
        counts: See ``LabelCounts.compute``.

    Returns:
        Precision and recall, ``(K, T + 1)`` float64 in ``[0, 1]`` from the highest threshold to none, and the
        average precision ``(K,)``: the mean of the precision over the recall. Where nothing is predicted the
        precision is 1; a label that no example has is NaN.

    Example:
        >>> precision_recall(np.array([[[4, 1, 0]], [[0, 3, 1]]]))[0].round(2)
        array([[1.  , 0.8 , 0.44]])
    """
    wrong, right = counts[..., ::-1].cumsum(axis=-1)
    total, positives = wrong + right, right[:, -1:]
    precision = np.divide(right, total, out=np.ones(right.shape), where=total > 0)
    recall = np.divide(right, positives, out=np.full(right.shape, np.nan), where=positives > 0)
    return precision, recall, (np.diff(recall, axis=1, prepend=0) * precision).sum(axis=1)


def draw_curves(counts: np.ndarray, names: Sequence[str], title: str = "") -> Figure:
    """Precision against recall as steps; the area below is the average precision.

    Args:
        counts: See ``LabelCounts.compute``; at least one label has an example.
        names: ``K`` names. Labels without an example have no curve.
        title: Comes before the mean average precision.
    """
    precision, recall, average = precision_recall(counts)
    shown = np.flatnonzero(~np.isnan(average))
    order = shown[np.argsort(average[shown], kind="stable")]
    figure = Figure(figsize=(7, 5), dpi=plots.DPI, layout="constrained")
    axes = figure.subplots()
    for rank, label in reversed(list(enumerate(order))):  # the worst on top
        style = {"color": plots.GREY, "linewidth": 0.7, "alpha": 0.5}
        if rank < len(COLOURS):
            style = {"color": COLOURS[rank], "linewidth": 1.5}
        axes.step(np.append(0, recall[label]), np.append(precision[label, 0], precision[label]), **style)
    worst = order[: len(COLOURS)]
    texts = [f"{names[i][:MAX_NAME]}   {average[i]:.3f} of {counts[1, i].sum():,}" for i in worst]
    lines = axes.get_lines()[::-1][: len(worst)]
    heading = "lowest average precision" if len(order) > len(worst) else "average precision"
    legend = figure.legend(lines, texts, loc="outside right upper", frameon=False, fontsize=8, title=heading)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a dollar sign in a name begins no formula
    mean = f"mean average precision {average[shown].mean():.3f} of {len(shown)} labels"
    axes.set_title(f"{title}\n{mean}".strip(), fontsize=10)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure
