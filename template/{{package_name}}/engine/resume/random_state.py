"""The state of the random generators: Python's, NumPy's, torch's and the device's."""

import random
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


def read_state() -> State:
    """The state of all generators: plain values and tensors, since checkpoints hold nothing else."""
    numpy_name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 # the global one
    return {
        "python": random.getstate(),
        "numpy": [numpy_name, keys.tolist(), *rest],  # type: ignore[union-attr] # the legacy form has an array
        "torch": torch.get_rng_state(),
        # Asking more would begin to use the GPU in a run on the CPU.
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def write_state(state: State) -> None:
    """Go on from what ``read_state`` gave; generators of devices that are not here are left out."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
