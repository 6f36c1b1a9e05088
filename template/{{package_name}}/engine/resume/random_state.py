"""The state of the random number generators of Python, NumPy, torch and the device."""

import random
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


def read_state(device: torch.device) -> State:
    """The state of all generators: plain values and tensors, since checkpoints hold nothing else.

    Args:
        device: The device in use, the only one whose generator is read.
    """
    numpy_name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 # the global one
    is_cpu = device.type == "cpu"
    return {
        "python": random.getstate(),
        "numpy": [numpy_name, keys.tolist(), *rest],  # type: ignore[union-attr] # the legacy form has an array
        "torch": torch.get_rng_state(),
        "device": None if is_cpu else torch.get_device_module(device).get_rng_state(),
    }


def write_state(state: State, device: torch.device) -> None:
    """Restore what ``read_state`` returned."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["device"] is not None and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"])
