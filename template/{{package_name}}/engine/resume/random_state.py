"""The random numbers of a resumed run go on where they were."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ..processes import gather_objects


class RandomState(Callback):
    """Keeps the state of Python's, NumPy's, torch's and the device's generators, of each process.

    Only the device in use is asked, since one that is not would have to be opened. A resumed run with another
    number of processes begins with its seed.
    """

    def __init__(self) -> None:
        self._ranks: list[dict[str, Any]] = []
        self._device = torch.device("cpu")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device

    def state_dict(self) -> dict[str, Any]:
        # Plain values and tensors: a checkpoint is read with weights_only=True.
        is_cpu = self._device.type == "cpu"
        numpy_name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 # the global one
        mine = {
            "python": random.getstate(),
            "numpy": [numpy_name, keys.tolist(), *rest],  # type: ignore[union-attr] # the legacy form has an array
            "torch": torch.get_rng_state(),
            "device": None if is_cpu else torch.get_device_module(self._device).get_rng_state(),
        }
        return {"ranks": gather_objects(mine)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._ranks = state_dict["ranks"]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Not before: what is made at the start of training may draw numbers.
        if len(self._ranks) == trainer.world_size:
            saved = self._ranks[trainer.global_rank]
            random.setstate(saved["python"])
            np.random.set_state(saved["numpy"])  # noqa: NPY002
            torch.set_rng_state(saved["torch"])
            if saved["device"] is not None and self._device.type != "cpu":
                torch.get_device_module(self._device).set_rng_state(saved["device"])
        self._ranks = []
