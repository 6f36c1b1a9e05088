"""Pictures of what a model does, and tables; name them in a config under ``trainer.callbacks``."""

from .confusion_matrix import ConfusionMatrix
from .error_vs_entropy import ErrorVsEntropy
from .predictions import Predictions
from .top_k_images import TopKImages

__all__ = ["ConfusionMatrix", "ErrorVsEntropy", "Predictions", "TopKImages"]
