"""(f) The cost of the pictures: a validation epoch with all of them, and with none."""

import heapq
from functools import partial
from itertools import count
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from .project import RUNS, size
from .ratio import Ratio, quiet_cost, quiet_ratios
from .turns import alternate, lap

NUM_IMAGES, FEW_IMAGES = size(10_000, smoke=100), size(500, smoke=100)
BATCH_SIZE, NUM_CLASSES = 256, 10
NUM_TURNS = size(9, smoke=1)
K = 8
NETWORK = {"width": 64, "depths": (0, 0, 1), "stem_stride": 2}  # as in configs/image_folder.yaml


def measure() -> list[Ratio]:
    """CPU seconds of one thread for an epoch of images of 32 x 32 pixels, in the quietest turn."""
    names = ("none", "all", "queue")
    costs = alternate({name: partial(validate, name, NUM_IMAGES) for name in names}, num_turns=NUM_TURNS)
    none, collected, queue = ([NUM_IMAGES * cost.cpu_s for cost in costs[name]] for name in names)
    # Drawing costs the same for any number of images: few, so that it is most of what is measured.
    few = {"few": ("none", FEW_IMAGES), "drawn": ("drawn", FEW_IMAGES)}
    costs = alternate({name: partial(validate, *args) for name, args in few.items()}, num_turns=NUM_TURNS)
    bare, drawn = ([FEW_IMAGES * cost.cpu_s for cost in costs[name]] for name in few)
    return [
        Ratio(
            name="(f) validation with all instruments, nothing drawn / without",
            values=quiet_ratios(collected, none, period=1),
            value=quiet_cost(collected, 1) / quiet_cost(none, 1),
            at_most=1.03,
            note=f"{min(collected):.2f} / {min(none):.2f} s",
        ),
        Ratio(
            name="(f) the same by a priority queue in Python, worst and best alone",
            values=quiet_ratios(queue, none, period=1),
            value=quiet_cost(queue, 1) / quiet_cost(none, 1),
            note=f"{min(queue):.2f} / {min(none):.2f} s",
        ),
        Ratio(
            name="(f) drawing and writing an epoch's four pictures, seconds",
            values=[a - b for a, b in zip(drawn, bare, strict=True)],
            at_most=0.5,
        ),
    ]


def validate(name: str, num_images: int) -> None:
    """Validate again and again."""
    from my_project.callbacks.confusion_matrix import ConfusionMatrix
    from my_project.callbacks.error_vs_entropy import ErrorVsEntropy
    from my_project.callbacks.predictions import Predictions
    from my_project.callbacks.top_k_images import TopKImages
    from my_project.data.fake import Fake
    from my_project.engine.loggers import RunFolderLogger
    from my_project.model.resnet import ResNet

    torch.set_num_threads(1)
    # Predictions is off by default, and its table is not a picture: it is collected, not written.
    pictures: list[Callback] = [TopKImages(k=K), ConfusionMatrix(), ErrorVsEntropy()]
    callbacks = {"none": [], "all": [*pictures, Predictions()], "drawn": pictures, "queue": [Queue()]}
    trainer = Trainer(
        accelerator="cpu",
        logger=RunFolderLogger(RUNS / "instruments") if name == "drawn" else False,
        callbacks=callbacks[name],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = ResNet(num_classes=NUM_CLASSES, **NETWORK)
    data = Fake(
        image_shape=(3, 32, 32),
        num_classes=NUM_CLASSES,
        num_train=num_images + 1,
        val_split=num_images,
        batch_size=BATCH_SIZE,
    )
    for number in count():
        lap(number * num_images)
        trainer.validate(model, data, verbose=False)


class Queue(Callback):
    """Image by image through two bounded priority queues, as one would first write it."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.worst: list[Any] = []
        self.best: list[Any] = []
        self.number = count()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        prediction = outputs["prediction"]
        for row in range(len(batch)):
            probs = prediction.logits[row].softmax(0)
            error = 1 - probs[batch.target[row]].item()
            content = batch.image[row], batch.target[row].item(), probs.argmax().item(), probs.max().item()
            for queue, score in ((self.worst, error), (self.best, -error)):
                push = heapq.heappush if len(queue) < K else heapq.heappushpop
                push(queue, (score, next(self.number), content))
