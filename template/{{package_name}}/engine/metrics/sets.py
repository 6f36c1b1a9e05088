"""The numbers of validation or test, which may have several sets."""

from collections.abc import Mapping
from typing import cast

from torch import nn
from torchmetrics import MetricCollection

from ..contracts import DataDescription
from .split import SplitMetrics


class SetMetrics(nn.Module):
    """The numbers of all counted sets together, and of each set if there are several.

    Args:
        split: ``val`` or ``test``.
        keep_inputs: Whether the metrics take inputs.
    """

    def __init__(self, split: str, *, keep_inputs: bool = False) -> None:
        super().__init__()
        self.split = split
        self.counted = SplitMetrics(None, f"{split}/", keep_inputs=keep_inputs)
        self.named = nn.ModuleDict()
        self._sets: list[tuple[str, bool]] = []

    def name_sets(self, sets: Mapping[str, bool]) -> None:
        """Set the names of the sets, in the order of their loaders, and whether each counts in the total."""
        self._sets = list(sets.items())
        if len(sets) > 1:
            for name in sets:
                prefix = f"{self.split}/{name}/"
                self.named[name] = SplitMetrics(None, prefix, keep_inputs=self.counted.keep_inputs)

    def set_metrics(self, metrics: MetricCollection, data: DataDescription) -> None:
        """Compute ``metrics`` from now on."""
        for split in self.all:
            split.set_metrics(metrics, data)

    def of_loader(self, dataloader_idx: int) -> list[SplitMetrics]:
        """The numbers that a batch of this loader goes into."""
        is_known = dataloader_idx < len(self._sets)
        name, counts = self._sets[dataloader_idx] if is_known else (self.split, True)
        own = [cast(SplitMetrics, self.named[name])] if name in self.named else []
        return [*own, self.counted] if counts else own

    @property
    def all(self) -> list[SplitMetrics]:
        """The numbers of all sets together, then those of each set."""
        return [self.counted, *(cast(SplitMetrics, split) for split in self.named.values())]

    def reset(self) -> None:
        """Forget all batches."""
        for split in self.all:
            split.reset()
