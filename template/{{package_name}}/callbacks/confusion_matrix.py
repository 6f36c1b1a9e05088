"""Which class is mistaken for which, as a picture."""

from pytorch_lightning import LightningModule, Trainer
from torchmetrics import MetricCollection

from .. import plots
from ..engine.contracts import describe_model
from ..engine.instruments import Instrument, title_of
from ..engine.loggers import log_figure
from ..engine.metrics import SplitMetrics
from ..metrics import ConfusionCounts
from ..structs import Example, MulticlassPrediction


class ConfusionMatrix(Instrument):
    """Shows the confusion matrix of each validation set and of the test set as ``val/confusion_matrix``.

    Args:
        every_n_epochs: See ``Instrument``.
    """

    serves = MulticlassPrediction

    def add(
        self, split: str, example: Example, prediction: MulticlassPrediction, model: LightningModule
    ) -> None:
        if split not in self.states:
            counts = MetricCollection({"counts": ConfusionCounts(prediction.num_outputs)})
            self.states[split] = SplitMetrics(counts, prefix="").to(prediction.logits.device)
        self.states[split].append(example, prediction, None)

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        counts = self.states[split].compute()["counts"].cpu().numpy()
        if self.is_drawn(trainer) and counts.any():
            names = describe_model(model).name_outputs(len(counts))
            figure = plots.confusion_matrix(counts, names, title_of(split, trainer))
            self.send(trainer, log_figure, f"{split}/confusion_matrix", plots.to_image(figure))
