"""The images a model does worst and best on."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from ..engine.contracts import names_of
from ..engine.errors import InputError
from ..engine.instruments import Instrument, TopBottomK
from ..engine.loggers import Sheet, log_images
from ..engine.processes import gather_objects
from ..model.base import BaseModel
from ..plots import image_sheet, pil_image
from ..structs import Example, Prediction


class TopKImages(Instrument):
    """Shows the ``k`` worst and the ``k`` best images of each validation set and of the test set.

    They are logged as ``val/worst`` and ``val/best``, by other measures than the error as
    ``val/by_<measure>/worst``; with several sets as ``val/<name>/worst``. Captions name the true and the
    predicted class, its probability, the example's index in the dataset and the measure.

    Args:
        k: Number of images.
        which: Which of them.
        by: ``error``: one minus the probability of the true class; ``loss``: the model's criterion of each
            example; ``entropy``: that of the predicted probabilities as a share of the largest possible one,
            for which no target is needed.
        every_n_train_steps: Show the same of the training batches of so many steps, augmented as they
            were; ``None`` for never.
        every_n_epochs: See ``Instrument``.

    Raises:
        InputError: A number is not positive.
    """

    def __init__(
        self,
        k: int = 8,
        which: Literal["worst", "best", "both"] = "both",
        by: Literal["error", "loss", "entropy"] = "error",
        every_n_train_steps: int | None = None,
        every_n_epochs: int = 1,
    ) -> None:
        super().__init__(every_n_epochs)
        if k < 1 or (every_n_train_steps is not None and every_n_train_steps < 1):
            raise InputError(
                f"expected k and every_n_train_steps of at least 1, got {k} and {every_n_train_steps}"
            )
        self.k, self.by, self.every_n_train_steps = k, by, every_n_train_steps
        self.which = which
        self._train = TopBottomK(k)
        self._ranks: list[dict[str, Any] | None] = []

    def add(self, split: str, example: Example, prediction: Prediction, model: LightningModule) -> None:
        if example.target is None and self.by != "entropy":
            self.warn_once(split, f"{split} has no targets: TopKImages shows it only with by=entropy")
            return
        state = self.states.setdefault(split, TopBottomK(self.k)) if split != "train" else self._train
        with torch.no_grad():
            state.update(self._score(example, prediction, model), example, prediction)

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        self._show(self.states[split], split, trainer, model)

    def state_dict(self) -> dict[str, Any]:
        return {"train": gather_objects(self._train.state())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._ranks = state_dict["train"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if len(self._ranks) == trainer.world_size:
            self._train.load_state(self._ranks[trainer.global_rank])

    @property
    def state_key(self) -> str:
        return f"{type(self).__name__}, {self.which} by {self.by}"

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Example, batch_idx: int
    ) -> None:
        if self.every_n_train_steps is None:
            return
        self.add("train", batch, outputs["prediction"], pl_module)
        if trainer.global_step % self.every_n_train_steps == 0:
            self._show(self._train, "train", trainer, pl_module)
            self._train = TopBottomK(self.k)

    def _score(self, example: Example, prediction: Prediction, model: Any) -> Tensor:
        if self.by == "entropy":
            return prediction.uncertainty
        if self.by == "loss":
            return model.example_loss(example, prediction)
        assert example.target is not None
        return 1 - prediction.probs.gather(1, example.target[:, None]).squeeze(1)

    def _show(self, state: TopBottomK, split: str, trainer: Trainer, model: LightningModule) -> None:
        computed = state.compute()
        if computed is None or not self.is_drawn(trainer):
            return
        prefix = split if self.by == "error" else f"{split}/by_{self.by}"
        for name, rows in zip(("worst", "best"), computed, strict=True):
            if self.which in (name, "both"):
                self.send(trainer, log_images, f"{prefix}/{name}", self._draw(*rows, model))

    def _draw(self, score: Tensor, example: Example, prediction: Prediction, model: Any) -> Sheet:
        is_ours = isinstance(model, BaseModel)
        pixels = model.normalize.to_pixels(example.image) if is_ours else example.image
        images = [pil_image(image) for image in pixels.numpy()]
        return image_sheet(images, list(self._captions(score, example, prediction, model)))

    def _captions(self, score: Tensor, example: Example, prediction: Prediction, model: Any) -> Iterator[str]:
        names = names_of(model, prediction.num_classes)
        predicted, confidence = prediction.classes.tolist(), prediction.confidence.tolist()
        targets = example.target.tolist() if example.target is not None else None
        indices = example.index.tolist() if example.index is not None else None
        for row, value in enumerate(score.tolist()):
            true = f"true {names[targets[row]]}\n" if targets else ""
            place = f"#{indices[row]}  " if indices else ""
            share = f"{confidence[row]:.0%}"
            yield f"{true}predicted {names[predicted[row]]}, {share}\n{place}{self.by} {value:.3f}"
