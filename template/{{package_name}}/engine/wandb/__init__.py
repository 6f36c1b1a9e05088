"""Weights & Biases beside a run: delete this folder if you do not want it."""


def prepare(text: str) -> None:
    """Import what a config may name of it: the logger, and how it takes pictures."""
    from . import media  # noqa: F401
