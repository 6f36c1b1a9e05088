"""A run that is stopped between two batches and resumed is the run that never was."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.data import Augment
from my_project.engine.augment import Mix, PhotoAugment
from my_project.engine.errors import InputError
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.resume.checkpoints import Checkpoints
from my_project.engine.resume.continuation import Continuation
from my_project.model.resnet import ResNet
from my_project.structs import ImageExample, Loss, MulticlassPrediction
from pytorch_lightning import Callback, Trainer
from support import MakeFake, MakeTrainer

SAVED = 6  # steps, of which two are in the second epoch
LAST = Path("stopped") / "checkpoints" / "last.ckpt"


class Noisy(ResNet):
    """Draws from the three generators in each step, and keeps what it drew and which examples it saw."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps: list[tuple[list[int], float, float, float, float]] = []
        self.windows: list[float] = []

    def compute_loss(self, example: ImageExample, prediction: MulticlassPrediction) -> Loss:
        loss = super().compute_loss(example, prediction)
        if self.training:
            assert example.index is not None
            drawn = random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002
            self.steps.append((example.index.tolist(), loss.total.item(), *drawn))
            loss = Loss(terms={"criterion": loss.total * (1 + sum(drawn))})
        return loss

    def on_train_batch_end(self, outputs: Any, batch: ImageExample, batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        self.windows.append(self.trainer.callback_metrics.get("train/loss_step", torch.zeros(())).item())


class Stop(Callback):
    """Ends the process, as far as a test can."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == SAVED + 1:
            raise RuntimeError("stopped")


# The folder of the stopped run, which goes on in it.
pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")


@pytest.fixture
def train(make_trainer: MakeTrainer, make_fake: MakeFake) -> Any:
    """Trains two epochs of four batches, from the checkpoint if one is given."""

    def run(
        name: str, *callbacks: Callback, resume: Path | None = None, **options: Any
    ) -> tuple[Noisy, Trainer]:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        model = Noisy(num_classes=4, width=4, depths=(0, 1), stem_stride=1)
        trainer = make_trainer(
            max_epochs=2,
            log_every_n_steps=4,
            logger=RunFolderLogger(Path(name)),
            enable_checkpointing=True,
            callbacks=[Continuation(), Checkpoints(every_n_train_steps=SAVED), *callbacks],
        )
        data = make_fake(**{"augment": Augment(padding=2, flip=True), **options})
        trainer.fit(model, data, ckpt_path=resume, weights_only=True)
        return model, trainer

    return run


MIXED = {
    "augment": PhotoAugment(scale=(0.3, 1), rotation=9, hue=0.1, blur=0.5, erasing=0.5, policy="trivial"),
    "mix": Mix(mixup=0.4, cutmix=1.0, prob=0.7),
}


@pytest.mark.parametrize("options", [{}, MIXED], ids=["Augment", "PhotoAugment and Mix"])
def test_a_resumed_run_equals_the_whole_one(train: Any, options: dict[str, Any]) -> None:
    whole, ended = train("whole", **options)
    with pytest.raises(RuntimeError, match="stopped"):
        train("stopped", Stop(), **options)
    resumed, ended_later = train("stopped", resume=LAST, **options)

    assert resumed.steps == whole.steps[SAVED:]
    assert resumed.windows[1:] == whole.windows[SAVED + 1 :]
    torch.testing.assert_close(resumed.state_dict(), whole.state_dict(), rtol=0, atol=0)
    for key, value in ended.callback_metrics.items():
        torch.testing.assert_close(ended_later.callback_metrics[key], value, rtol=0, atol=0, msg=key)


def test_a_run_of_other_batches_is_not_resumed(train: Any) -> None:
    with pytest.raises(RuntimeError, match="stopped"):
        train("stopped", Stop())

    with pytest.raises(InputError, match="expected the batch_size of the interrupted run, 16, got 8"):
        train("stopped", resume=LAST, batch_size=8)
