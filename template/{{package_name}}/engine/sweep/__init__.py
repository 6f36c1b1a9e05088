"""Hyperparameter search: many runs of ``fit``, by as many processes or machines as there are."""

from importlib.util import find_spec

from ..errors import InputError
from .space import as_options, grid

__all__ = ["as_options", "grid", "run"]


def run(args: list[str]) -> int:
    """Search, or look at a search, from the command line; see ``sweep --help``.

    Returns:
        Exit status.

    Raises:
        InputError: Something that was given cannot be used.
    """
    if find_spec("optuna") is None:
        raise InputError("expected optuna installed; run make init EXTRAS=dev,sweep")
    from .command import search  # optuna is imported by those who search

    return search(args[1:])
