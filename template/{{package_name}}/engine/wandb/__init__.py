"""Weights & Biases beside a run: delete this folder if you do not want it."""

from importlib.util import find_spec

from ..errors import InputError


def prepare(text: str) -> None:
    """Import the logger, which a config may name, and what it does with pictures and tables.

    Raises:
        InputError: wandb is not installed.
    """
    if find_spec("wandb") is None:
        raise InputError("wandb is not installed; run make init, or remove WandbRunLogger from the config")
    from . import media  # noqa: F401
