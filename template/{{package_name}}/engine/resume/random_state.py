"""The random numbers of a resumed run go on where they were."""

import random
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from ..processes import gather_objects


class RandomState(Callback):
    """Keeps the state of Python's, NumPy's, torch's and the device's generators, of each process.

    A resumed run with another number of processes begins with its seed.
    """

    def __init__(self) -> None:
        self._ranks: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        # Plain values and tensors: a checkpoint is read with weights_only=True.
        numpy_name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 # the global one
        mine = {
            "python": random.getstate(),
            "numpy": [numpy_name, keys.tolist(), *rest],  # type: ignore[union-attr] # the legacy form has an array
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
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
            if saved["cuda"] is not None and torch.cuda.is_available():
                torch.cuda.set_rng_state(saved["cuda"])
        self._ranks = []
