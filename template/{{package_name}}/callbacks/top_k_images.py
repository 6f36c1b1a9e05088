"""The images a model does worst and best on."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from ..engine.contracts import Model, describe_model
from ..engine.errors import check_least
from ..engine.foreign import batches_trained
from ..engine.instruments import Instrument, TopBottomK
from ..engine.instruments.ranking import By, needs_targets, score, why_not
from ..engine.loggers import Sheet, log_images
from ..engine.processes import gather_objects
from ..plots import image_sheet, pil_image, text_tile
from ..structs import Example, Prediction


class TopKImages(Instrument):
    """Shows the ``k`` worst and the ``k`` best images of each validation set and of the test set.

    They are logged as ``val/worst`` and ``val/best``, by measures other than the error as
    ``val/by_<measure>/worst``; with several sets as ``val/<name>/worst``. Captions name the target, the
    prediction, the example's index in the dataset and the measure; masks are drawn over their images,
    and texts and rows are written out.

    Args:
        k: Number of images.
        which: Which of them.
        by: ``error``: that of the prediction, for classes one minus the probability of the true one;
            ``loss``: the model's criterion for each example; ``entropy``: as a share of the largest
            possible, which needs no target.
        every_n_train_steps: Show the same for the training batches of that many steps, augmented as they
            were; ``None`` for never.
        every_n_epochs: See ``Instrument``.

    Raises:
        InputError: A number is not positive.
    """

    def __init__(
        self,
        k: int = 8,
        which: Literal["worst", "best", "both"] = "both",
        by: By = "error",
        every_n_train_steps: int | None = None,
        every_n_epochs: int = 1,
    ) -> None:
        super().__init__(every_n_epochs)
        check_least(1, k=k, every_n_train_steps=every_n_train_steps)
        self.k, self.every_n_train_steps = k, every_n_train_steps
        self.which = which
        self.by: By = by
        self._train = dict[str, TopBottomK]()  # by source, if several data sets take turns
        self._ranks: list[dict[str, Any] | None] = []

    def add(self, split: str, example: Example, prediction: Prediction, model: LightningModule) -> None:
        if example.target is None and needs_targets(self.by, model):
            self.warn_once(split, f"{split} has no targets: TopKImages shows it only with by=entropy")
            return
        states = self._train if split.startswith("train") else self.states
        state = states.setdefault(split, TopBottomK(self.k))
        with torch.no_grad():
            state.update(score(self.by, example, prediction, model), example, prediction)

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        self._show(self.states[split], split, trainer, model)

    def state_dict(self) -> dict[str, Any]:
        return {"train": gather_objects({split: state.state() for split, state in self._train.items()})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._ranks = state_dict["train"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(self._ranks) == trainer.world_size:
            for split, state in (self._ranks[trainer.global_rank] or {}).items():
                self._train.setdefault(split, TopBottomK(self.k)).load_state(state)

    @property
    def state_key(self) -> str:
        return f"{type(self).__name__}, {self.which} by {self.by}"

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Example, batch_idx: int
    ) -> None:
        if self.every_n_train_steps is None:
            return
        split = f"train/{batch.source}" if batch.source else "train"
        self.add(split, outputs.get("example", batch), outputs["prediction"], pl_module)
        if batches_trained(trainer) % self.every_n_train_steps == 0:
            for split, state in self._train.items():
                self._show(state, split, trainer, pl_module)
            self._train = {}

    def refusal(self, prediction: type[Prediction], model: LightningModule) -> str:
        return why_not(self.by, prediction, model)

    def _show(self, state: TopBottomK, split: str, trainer: Trainer, model: LightningModule) -> None:
        computed = state.compute()
        if computed is None or not self.is_drawn(trainer):
            return
        prefix = split if self.by == "error" else f"{split}/by_{self.by}"
        for name, rows in zip(("worst", "best"), computed, strict=True):
            if self.which in (name, "both"):
                self.send(trainer, log_images, f"{prefix}/{name}", self._draw(*rows, model))

    def _draw(self, score: Tensor, example: Example, prediction: Prediction, model: Any) -> Sheet:
        data = describe_model(model)
        names = data.name_outputs(prediction.num_outputs)
        captions = list(self._captions(score, example, prediction, names))
        pixels = model.pictures(example) if isinstance(model, Model) else example.pictures()
        if pixels is None:
            return image_sheet(list(map(text_tile, example.texts(data))), captions, as_they_are=True)
        drawn = prediction.draw_on(pixels, example)
        return image_sheet([pil_image(image) for image in drawn.numpy()], captions)

    def _captions(
        self, score: Tensor, example: Example, prediction: Prediction, names: list[str]
    ) -> Iterator[str]:
        indices = example.index.tolist() if example.index is not None else None
        lines = prediction.captions(example, names)
        for row, value in enumerate(score.tolist()):
            place = f"#{indices[row]}  " if indices else ""
            yield f"{lines[row]}\n{place}{self.by} {value:.3f}".strip()
