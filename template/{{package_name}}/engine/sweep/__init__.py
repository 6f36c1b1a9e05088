"""Hyperparameter search: many runs of ``fit``, in several processes, on one or more machines."""

from importlib.util import find_spec

from ..errors import InputError
from .space import as_options, grid

__all__ = ["as_options", "grid", "run"]


def run(args: list[str]) -> int:
    """Run a search, or show one, from the command line; see ``sweep --help``.

    Returns:
        Exit status.

    Raises:
        InputError: Optuna is not installed, or something given cannot be used.
    """
    if find_spec("optuna") is None:
        raise InputError("optuna is not installed; run make init EXTRAS=dev,sweep")
    from .command import search  # imports optuna

    return search(args[1:])
