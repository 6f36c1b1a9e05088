"""Pictures of what a model does, and tables; name them in a config under ``trainer.callbacks``.

A config may use the classes imported here by name alone. If you delete a file, delete its line, too.
"""

from .confusion_matrix import ConfusionMatrix as ConfusionMatrix
from .error_vs_entropy import ErrorVsEntropy as ErrorVsEntropy
from .predictions import Predictions as Predictions
from .top_k_images import TopKImages as TopKImages
