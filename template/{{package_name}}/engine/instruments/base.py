"""What all evaluation pictures have in common."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from pytorch_lightning import Callback, LightningModule, Trainer

from ..contracts import Example, Model, Prediction, data_of
from ..errors import check_least
from ..foreign import logged_steps
from ..loggers import stage_of

log = logging.getLogger(__name__)


class Instrument(Callback):
    """Watches validation and test, and shows something of each set at its end.

    A subclass says which predictions it ``serves``; for others, one line says so when the run starts, and the
    run goes on without it. It keeps a state per set in ``states``, fills it by ``add``, which must not wait
    for the device, and draws it by ``show``. Steps must return their ``Prediction`` under
    ``prediction``, as those of ``BaseModel`` do. What cannot be written (a full disk) is reported once and
    does not end the run.

    Args:
        every_n_epochs: Show one epoch in so many, and always the last one.

    Raises:
        InputError: ``every_n_epochs`` is not positive.
    """

    serves: ClassVar[type[Prediction]] = Prediction

    def __init__(self, every_n_epochs: int = 1) -> None:
        check_least(1, every_n_epochs=every_n_epochs)
        self.every_n_epochs = every_n_epochs
        self.states: dict[str, Any] = {}
        self._warned: set[str] = set()

    def add(self, split: str, example: Any, prediction: Any, model: LightningModule) -> None:
        """Take a batch of the set ``split``, such as ``val`` or ``val/hard``; it may be empty."""
        raise NotImplementedError

    def show(self, split: str, trainer: Trainer, model: LightningModule) -> None:
        """Join the states of all processes; where ``is_drawn``, draw and ``send`` pictures."""
        raise NotImplementedError

    def refusal(self, prediction: type[Prediction], model: LightningModule) -> str:
        """Why predictions of a class cannot be shown, as the end of a sentence; empty if they can."""
        return "" if issubclass(prediction, self.serves) else f"it shows {self.serves.__name__}"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if isinstance(pl_module, Model) and (why := self.refusal(pl_module.prediction_class, pl_module)):
            name, predicts = type(self).__name__, pl_module.prediction_class.__name__
            self.warn_once("refusal", f"{name} is left out: {why}, and the model gives {predicts}")

    def is_drawn(self, trainer: Trainer) -> bool:
        """Whether this process is the one that draws, and some logger takes the pictures."""
        return trainer.is_global_zero and bool(trainer.loggers)

    def send(self, trainer: Trainer, log_to: Callable[..., None], key: str, *content: Any) -> None:
        """Call ``log_to(logger, key, *content, step)`` for each logger."""
        step = logged_steps(trainer)
        for logger in trainer.loggers:
            try:
                log_to(logger, key, *content, step)
            except OSError as error:
                self.warn_once("disk", f"{key} is not written: {error}; the run goes on")

    def warn_once(self, topic: str, message: str) -> None:
        """Log a warning, once per topic and run."""
        if topic not in self._warned:
            self._warned.add(topic)
            log.warning(message)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.states = {}

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.states = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Example,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._is_due(trainer):
            split = _name("val", data_of(trainer).val_sets, dataloader_idx)
            self._add(split, pl_module, batch, outputs)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Example,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._add(_name("test", data_of(trainer).test_sets, dataloader_idx), pl_module, batch, outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show_all(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show_all(trainer, pl_module)

    def _add(self, split: str, model: LightningModule, batch: Example, outputs: Any) -> None:
        prediction = outputs.get("prediction") if isinstance(outputs, dict) else None
        if isinstance(prediction, Prediction):
            batch = outputs.get("example", batch)
            if not self.refusal(type(prediction), model):
                self.add(split, batch[: len(prediction)], prediction, model)
        else:
            expected = f"expected the steps of {type(model).__name__} to return a dict with a prediction"
            self.warn_once("outputs", f"{expected}; {type(self).__name__} shows nothing")

    def _show_all(self, trainer: Trainer, model: LightningModule) -> None:
        for split in self.states:
            self.show(split, trainer, model)
        self.states = {}

    def _is_due(self, trainer: Trainer) -> bool:
        if trainer.sanity_checking:
            return False
        epoch = trainer.current_epoch + 1
        return trainer.state.fn != "fit" or epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs


def _name(split: str, sets: Iterable[str], number: int) -> str:
    names = list(sets)
    return f"{split}/{names[number]}" if len(names) > 1 else split


def title_of(split: str, trainer: Trainer) -> str:
    """The title of a picture."""
    stage = stage_of(trainer)
    where = f"{split}, {stage.name}" if stage else split
    return f"{where}, epoch {trainer.current_epoch + 1}" if trainer.state.fn == "fit" else where
