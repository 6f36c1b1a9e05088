"""Does the model err when it is unsure?"""

from pytorch_lightning import LightningModule, Trainer
from torchmetrics import MetricCollection

from .. import plots
from ..engine.instruments import Instrument, title_of
from ..engine.loggers import log_figure
from ..engine.metrics import SplitMetrics
from ..metrics import ErrorBins, calibration_error
from ..structs import Example, MulticlassPrediction


class ErrorVsEntropy(Instrument):
    """Shows the error rate against the normalised entropy as ``val/error_vs_entropy``, with UCE and ECE.

    Args:
        num_bins: Number of bins of equal width.
        every_n_epochs: See ``Instrument``.
    """

    serves = MulticlassPrediction

    def __init__(self, num_bins: int = 15, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        self.num_bins = num_bins

    def add(
        self, split: str, example: Example, prediction: MulticlassPrediction, model: LightningModule
    ) -> None:
        if split not in self.states:
            bins = MetricCollection({"bins": ErrorBins(self.num_bins)})
            self.states[split] = SplitMetrics(bins, prefix="").to(prediction.logits.device)
        self.states[split].append(example, prediction, None)

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        by_entropy, by_confidence = self.states[split].compute()["bins"].cpu()
        if self.is_drawn(trainer) and by_entropy.any():
            figure = plots.error_vs_entropy(
                by_entropy.numpy(),
                uce=float(calibration_error(by_entropy)),
                ece=float(calibration_error(by_confidence)),
                title=title_of(split, trainer),
            )
            self.send(trainer, log_figure, f"{split}/error_vs_entropy", plots.to_image(figure))
