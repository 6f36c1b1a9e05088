"""Each example's prediction, as a table."""

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from ..engine.contracts import names_of
from ..engine.instruments import Instrument
from ..engine.loggers import log_table
from ..engine.processes import gather_objects
from ..structs import Example, Prediction

COLUMNS = ("index", "true", "predicted", "probability", "entropy")


class Predictions(Instrument):
    """Logs the table ``val/predictions`` with a row per example, in the order of their indices.

    It takes 40 bytes per example on the device until the epoch ends. Entropies are in nats.

    Args:
        every_n_epochs: See ``Instrument``.
    """

    def add(self, split: str, example: Example, prediction: Prediction, model: LightningModule) -> None:
        unknown = torch.full_like(prediction.classes, -1)
        index = unknown if example.index is None else example.index
        true = unknown if example.target is None else example.target
        integers = torch.stack([index, true, prediction.classes])
        self.states.setdefault(split, []).append(
            (integers, torch.stack([prediction.confidence, prediction.entropy]))
        )

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        integers, numbers = (torch.cat(part, dim=1).cpu() for part in zip(*self.states[split], strict=True))
        gathered = gather_objects((integers, numbers))
        if self.is_drawn(trainer):
            integers, numbers = (torch.cat(part, dim=1) for part in zip(*gathered, strict=True))
            order = integers[0].argsort(stable=True)
            rows = _rows(integers[:, order], numbers[:, order], model)
            self.send(trainer, log_table, f"{split}/predictions", COLUMNS, rows)


def _rows(integers: Tensor, numbers: Tensor, model: LightningModule) -> list[list[object]]:
    names = names_of(model, int(integers[1:].max()) + 1)
    pairs = zip(integers.T.tolist(), numbers.T.tolist(), strict=True)
    return [
        [
            index if index >= 0 else None,
            names[true] if true >= 0 else None,
            names[predicted],
            *(float(f"{number:.6g}") for number in values),
        ]
        for (index, true, predicted), values in pairs
    ]
