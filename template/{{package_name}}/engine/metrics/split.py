"""All numbers of one split, collected at next to no cost per step."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from ..contracts import AnyExample, AnyLoss, AnyPrediction
from ..foreign import set_update_count
from .mean import Mean

MAX_BUFFERED = 64  # batches; bounds the memory that logits take between two logged steps


class SplitMetrics(nn.Module):
    """Loss terms and metrics of one split or one named validation set.

    A step only appends to a buffer; many batches enter the metrics by one update. That is exact for
    metrics whose state is a sum or a concatenation, and takes about fifty times fewer small operations
    than an update each step. The buffer holds no inputs: metrics see target and index alone.

    Args:
        metrics: What to compute; copied, and prefixed with ``prefix``.
        prefix: First part of the logged keys, such as ``"val/"``.
    """

    def __init__(self, metrics: MetricCollection, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix
        self.metrics = metrics.clone(prefix=prefix)
        self.losses = nn.ModuleDict()
        self._buffer: list[tuple[AnyExample, AnyPrediction]] = []
        self._losses: list[tuple[int, AnyLoss]] = []

    def append(self, example: AnyExample, prediction: AnyPrediction, loss: AnyLoss | None) -> None:
        """Add a batch; ``loss`` is ``None`` where there is no target."""
        self._buffer.append((example.without_inputs(), prediction.detach()))
        if loss is not None:
            self._losses.append((len(example), loss.detach()))
        if len(self._buffer) >= MAX_BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Empty the buffer into the metrics."""
        if self._buffer:
            examples, predictions = zip(*self._buffer, strict=True)
            self.metrics.update(type(examples[0]).cat(examples), type(predictions[0]).cat(predictions))
        if self._losses:
            sizes, losses = zip(*self._losses, strict=True)
            self._update_losses(sizes, losses)
        self._buffer, self._losses = [], []

    def compute(self) -> dict[str, Tensor]:
        """Each loss and metric by its logged key, over all batches and ranks since ``reset``."""
        self.flush()
        losses = {f"{self.prefix}{name}": cast(Mean, mean).compute() for name, mean in self.losses.items()}
        called = ((name, metric) for name, metric in self.metrics.items() if metric.update_called)
        return losses | {name: metric.compute() for name, metric in called}

    def reset(self) -> None:
        """Forget all batches."""
        self._buffer, self._losses = [], []
        self.losses.clear()
        self.metrics.reset()

    def state(self) -> dict[str, dict[str, Any]]:
        """What this process has collected since ``reset``: plain values, and tensors on the CPU."""
        self.flush()
        metrics = ((name, module) for name, module in self.named_modules() if isinstance(module, Metric))
        return {
            name: {
                "updates": metric.update_count,
                "values": apply_to_collection(metric.metric_state, Tensor, Tensor.cpu),
            }
            for name, metric in metrics
            if metric.update_called
        }

    def load_state(self, state: dict[str, dict[str, Any]]) -> None:
        """Go on from what ``state`` gave."""
        self.reset()
        for name in state:
            parent, _, loss = name.rpartition(".")
            if parent == "losses":
                self.losses[loss] = Mean()
        modules = dict(self.named_modules())
        for name, saved in state.items():
            metric = cast(Metric, modules[name])
            for key, value in saved["values"].items():
                setattr(metric, key, value)
            set_update_count(metric, saved["updates"])

    def _update_losses(self, sizes: Sequence[int], losses: Sequence[AnyLoss]) -> None:
        values = {"loss": [loss.total for loss in losses]}
        if len(losses[0].terms) > 1:
            values |= {f"loss_{name}": [loss.terms[name] for loss in losses] for name in losses[0].terms}
        for name, scalars in values.items():
            stacked = torch.stack(scalars)
            if name not in self.losses:
                self.losses[name] = Mean().to(stacked.device)
            cast(Mean, self.losses[name]).update(stacked, torch.tensor(sizes, dtype=torch.float32))


class ValMetrics(nn.Module):
    """The numbers of validation: of all sets that count together, and of each where there are several.

    Args:
        metrics: What to compute.
    """

    def __init__(self, metrics: MetricCollection) -> None:
        super().__init__()
        self.counted = SplitMetrics(metrics, "val/")
        self.named = nn.ModuleDict()
        self._sets: list[tuple[str, bool]] = []

    def name_sets(self, sets: Mapping[str, bool]) -> None:
        """Say which sets there are, in the order of their loaders, and whether each counts in ``val/...``."""
        self._sets = list(sets.items())
        if len(sets) > 1:
            for name in sets:
                self.named[name] = SplitMetrics(self.counted.metrics.clone(prefix=""), f"val/{name}/")

    def of_loader(self, dataloader_idx: int) -> list[SplitMetrics]:
        """The numbers that a batch of this loader goes into."""
        is_known = dataloader_idx < len(self._sets)
        name, counts = self._sets[dataloader_idx] if is_known else ("val", True)
        own = [cast(SplitMetrics, self.named[name])] if name in self.named else []
        return [*own, self.counted] if counts else own

    @property
    def all(self) -> list[SplitMetrics]:
        """Those of all sets together, then those of each."""
        return [self.counted, *(cast(SplitMetrics, split) for split in self.named.values())]

    def reset(self) -> None:
        """Forget all batches."""
        for split in self.all:
            split.reset()
