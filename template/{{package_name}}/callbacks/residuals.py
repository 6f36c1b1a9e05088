"""How far predicted numbers are from the true ones, as a picture."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from pytorch_lightning import LightningModule, Trainer

from .. import plots
from ..engine.contracts import describe_model
from ..engine.instruments import Instrument, TopBottomK, title_of
from ..engine.loggers import log_figure
from ..structs import Example, RegressionPrediction

MAX_OUTPUTS = 4
PRIME = 2_654_435_761  # Knuth's multiplier: neighbours get keys that are far from each other


class Residuals(Instrument):
    """Shows true against predicted numbers, and the residuals, as ``val/residuals``.

    At most ``max_examples`` are drawn, chosen by index: the same ones in each epoch and for any number of
    processes. Of more than four outputs, four evenly spaced ones are shown.

    Args:
        max_examples: Points of a picture.
        every_n_epochs: See ``Instrument``.
    """

    serves = RegressionPrediction

    def __init__(self, max_examples: int = 2000, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        self.max_examples = max_examples

    def add(
        self, split: str, example: Example, prediction: RegressionPrediction, model: LightningModule
    ) -> None:
        if example.target is None:
            return
        values, target = prediction.values.float().flatten(1), example.target.float().flatten(1)
        shown = outputs_shown(values.shape[1]).to(values.device)
        rows = Example(target=target[:, shown], index=example.index)
        index = torch.arange(len(rows), device=values.device) if rows.index is None else rows.index
        key = (index * PRIME % 2**32).float()
        state = self.states.setdefault(split, TopBottomK(self.max_examples))
        state.update(key, rows, RegressionPrediction(values=values[:, shown]))

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        computed = self.states[split].compute()
        if computed is None or not self.is_drawn(trainer):
            return
        (_, example, prediction), _ = computed
        data = describe_model(model)
        names = data.name_outputs(data.num_outputs or prediction.values.shape[1])
        names = [names[place] for place in outputs_shown(len(names)).tolist()]
        true, predicted = example.target.numpy(), prediction.values.numpy()
        figure = draw_residuals(true, predicted, names, title_of(split, trainer))
        self.send(trainer, log_figure, f"{split}/residuals", plots.to_image(figure))


def outputs_shown(num_outputs: int) -> torch.Tensor:
    """At most four evenly spaced int64 positions."""
    return torch.linspace(0, num_outputs - 1, min(num_outputs, MAX_OUTPUTS)).long()


def draw_residuals(true: np.ndarray, predicted: np.ndarray, names: Sequence[str], title: str = "") -> Figure:
    """For each output, true against predicted values, and residuals against predicted ones.

    Args:
        true: ``(N, D)``; rows where it or the prediction is not finite are left out.
        predicted: ``(N, D)``.
        names: Of the ``D`` outputs.
        title: Comes first, before the number of examples, the mean absolute error and R2 of those shown.
    """
    figure = Figure(figsize=(8, 4 * len(names)), dpi=plots.DPI, layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(len(names), 2, squeeze=False)
    for (left, right), name, all_x, all_y in zip(panels, names, true.T, predicted.T, strict=True):
        is_finite = np.isfinite(all_x) & np.isfinite(all_y)
        x, y = all_x[is_finite].astype(float), all_y[is_finite].astype(float)
        name = name.replace("$", r"\$")
        left.scatter(x, y, s=8, alpha=0.5, color=plots.BLUE, edgecolors="none")
        left.axline((0, 0), slope=1, color=plots.ORANGE, linestyle="--")
        left.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
        left.set_title(_figures(x, y), fontsize=9)
        right.scatter(y, x - y, s=8, alpha=0.5, color=plots.BLUE, edgecolors="none")
        right.axhline(0, color=plots.ORANGE, linestyle="--")
        right.set(xlabel=f"predicted {name}", ylabel="true - predicted")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
    return figure


def _figures(true: np.ndarray, predicted: np.ndarray) -> str:
    """How many examples are shown, and how well they are predicted."""
    if len(true) < 2:
        return f"{len(true)} examples"
    left, spread = np.square(true - predicted).sum(), np.square(true - true.mean()).sum()
    r2 = f"   R2 {1 - left / spread:.3f}" if spread > 0 else ""
    return f"{len(true):,} examples   MAE {np.abs(true - predicted).mean():.4g}{r2}"
