"""How fast a run is, and how much of the device it uses."""

import time
from typing import Any

import torch
from lightning_fabric.utilities.throughput import get_available_flops
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.flop_counter import FlopCounterMode

from ..foreign import batches_per_log, batches_trained

PASSES = 3  # forward, and backward, which takes twice as many operations
DTYPES = (("bf16", torch.bfloat16), ("16", torch.float16), ("64", torch.float64))


class Throughput(Callback):
    """Logs how fast the steps since the last logged one were, of all devices together, without validation.

    These are ``train/examples_per_s``, ``train/tflops`` (10^12 operations per second: three times those of
    a forward pass over the first batch), and on a GPU that Lightning knows ``train/mfu``, the share of its
    peak. Unlike Lightning's ``ThroughputMonitor`` it waits for the device only where a step is logged.
    """

    def __init__(self) -> None:
        self._flops: float | None = None  # of an example
        self._peak: int | None = None  # FLOPs per second of the device
        self._began = self._paused_at = 0.0
        self._num_examples = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        precision = str(trainer.precision)
        dtype = next((dtype for name, dtype in DTYPES if name in precision), torch.float32)
        self._peak = get_available_flops(trainer.strategy.root_device, dtype)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._flops is None:
            self._flops = PASSES * count_flops(pl_module, batch) / len(batch)
            self._begin()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._paused_at = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began += time.perf_counter() - self._paused_at

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._num_examples += len(batch)
        every = batches_per_log(trainer)
        if every and batches_trained(trainer) % every == 0:
            pl_module.log_dict(self._rates(trainer))
            self._begin()

    def _begin(self) -> None:
        self._began, self._num_examples = time.perf_counter(), 0

    def _rates(self, trainer: Trainer) -> dict[str, float]:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        speed = self._num_examples / max(time.perf_counter() - self._began, 1e-9)
        flops = speed * (self._flops or 0)
        rates = {
            "train/examples_per_s": speed * trainer.world_size,
            "train/tflops": flops * trainer.world_size / 1e12,
        }
        return rates | ({"train/mfu": flops / self._peak} if self._peak else {})


@torch.no_grad()
def count_flops(model: LightningModule, batch: Any) -> int:
    """FLOPs of a forward pass in evaluation mode, which changes no statistics and draws no numbers."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with FlopCounterMode(display=False) as counter:
            model(batch)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return counter.get_total_flops()
