"""Each example's prediction, as a table."""

from typing import Any

from pytorch_lightning import LightningModule, Trainer

from ..engine.contracts import describe_model
from ..engine.instruments import Instrument
from ..engine.loggers import log_table
from ..engine.processes import gather_objects
from ..structs import Example, Prediction


class Predictions(Instrument):
    """Logs the table ``val/predictions`` with a row per example, in the order of their indices.

    Its columns are those of ``predict``, after the index and the target. It keeps all predictions in memory
    until the epoch ends.

    Args:
        every_n_epochs: See ``Instrument``.
    """

    def refusal(self, prediction: type[Prediction], model: LightningModule) -> str:
        return "" if prediction.columns is not Prediction.columns else "it needs a prediction with columns()"

    def add(self, split: str, example: Example, prediction: Prediction, model: LightningModule) -> None:
        self.states.setdefault(split, []).append((example.without_inputs().to("cpu"), prediction.to("cpu")))

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        gathered = [batch for batches in gather_objects(self.states[split]) for batch in batches]
        if not self.is_drawn(trainer):
            return
        rows: list[list[Any]] = []
        columns: list[str] = []
        for example, prediction in gathered:
            names = describe_model(model).name_outputs(prediction.num_outputs)
            index = [None] * len(prediction) if example.index is None else example.index.tolist()
            table = {"index": index, **prediction.columns(names, example.target)}
            columns = list(table)
            rows += map(list, zip(*table.values(), strict=True))
        rows.sort(key=lambda row: -1 if row[0] is None else row[0])
        self.send(trainer, log_table, f"{split}/predictions", columns, rows)
