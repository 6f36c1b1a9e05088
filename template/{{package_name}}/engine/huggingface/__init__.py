"""Sets of Hugging Face ``datasets``: opened by path or name, with columns as tensors, or streamed."""

from .columns import (
    class_names,
    class_names_of_stream,
    classes_of,
    features_of,
    numbers_of,
    target_of,
    tensor_of,
    texts_of,
)
from .images import decode
from .sets import FloatSet, read_features
from .source import open_splits
from .stream import Stream

__all__ = [
    "FloatSet",
    "Stream",
    "class_names",
    "class_names_of_stream",
    "classes_of",
    "decode",
    "features_of",
    "numbers_of",
    "open_splits",
    "read_features",
    "target_of",
    "tensor_of",
    "texts_of",
]
