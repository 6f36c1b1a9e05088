"""Refuses to resume a run with other data than it began with."""

import os
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from ..contracts import data_of
from ..errors import InputError

Facts = dict[str, str | int]


class SameRun(Callback):
    """Refuses to resume a run with other data, another split, seed, batch size or number of processes."""

    def __init__(self) -> None:
        self._facts, self._before = Facts(), Facts()

    def state_dict(self) -> dict[str, Any]:
        return dict(self._facts)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._facts = facts_of(trainer)
        for name, before in self._before.items():
            if (now := self._facts.get(name, "none")) != before:
                raise InputError(
                    f"expected the {name} of the interrupted run, {before}, got {now}; resume with what it "
                    "had, or start a new run from its weights: fit --init_from RUN"
                )


def facts_of(trainer: Trainer) -> Facts:
    """What must be the same on a resume, besides the config; known after the datamodule's ``setup``."""
    seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
    return {"number of processes": trainer.world_size, "seed": seed, **data_of(trainer).fingerprint()}
