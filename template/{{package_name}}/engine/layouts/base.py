"""The interface of all layouts of labelled images."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..images.decoding import Listing


class Layout(ABC):
    """What is found in the data folder.

    Attributes:
        class_names: Name of each class, or label, by index.
        splits: Those of train, val and test that are there; only ``all`` if the data has no splits.
        is_multilabel: Whether an image may have several labels.
    """

    class_names: list[str]
    splits: Sequence[str]
    is_multilabel: bool = False

    @abstractmethod
    def read(self, split: str) -> Listing:
        """The images of one of ``splits``."""
