"""Several networks that are wired by names, as a config gives them."""

from .drawing import DrawGraph
from .losses import Term, compute_terms, example_losses
from .networks import evaluate_frozen, freeze_others, make_networks
from .wiring import Wiring

__all__ = [
    "DrawGraph",
    "Term",
    "Wiring",
    "compute_terms",
    "evaluate_frozen",
    "example_losses",
    "freeze_others",
    "make_networks",
]
