"""Several networks that are wired by names, as a config gives them."""

from .drawing import DrawGraph
from .losses import Term, compute_terms, example_losses
from .networks import evaluate_frozen, freeze_others, make_networks
from .sources import Pipeline, check_sources, pipeline_of
from .wiring import Wiring

__all__ = [
    "DrawGraph",
    "Pipeline",
    "Term",
    "Wiring",
    "check_sources",
    "compute_terms",
    "evaluate_frozen",
    "example_losses",
    "freeze_others",
    "make_networks",
    "pipeline_of",
]
