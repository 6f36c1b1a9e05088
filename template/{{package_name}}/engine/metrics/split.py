"""All numbers of one split, collected at almost no cost per step."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from ..contracts import AnyLoss, DataDescription, Example, Prediction
from ..errors import InputError
from ..errors.tracebacks import describe_error
from ..foreign import set_update_count
from ..structs import TensorStruct
from .mean import Mean

S = TypeVar("S", bound=TensorStruct)
MAX_BATCHES, MAX_BYTES = 64, 64 * 2**20  # limits of the buffer


class SplitMetrics(nn.Module):
    """Loss terms and metrics of one split or one named validation set.

    A step only appends to a buffer; many batches enter the metrics by one update. That is exact for
    metrics whose state is a sum or a concatenation, and takes about fifty times fewer small operations
    than an update in each step. The buffer holds at most 64 batches and 64 MiB, and inputs only if a metric
    takes some by name. Batches of different shapes, such as texts of different lengths, enter by separate
    updates. In training the loss is also kept by the source of the batch, if it has one.

    Args:
        metrics: What to compute; copied, and prefixed with ``prefix``. ``None`` if that is not known yet.
        prefix: First part of the logged keys, such as ``"val/"``.
        keep_inputs: Whether the metrics take inputs.
        max_bytes: Size at which the buffer is emptied.
    """

    def __init__(
        self,
        metrics: MetricCollection | None,
        prefix: str,
        *,
        keep_inputs: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__()
        self.prefix, self.keep_inputs, self.max_bytes = prefix, keep_inputs, max_bytes
        self.metrics = MetricCollection({})
        self.losses = nn.ModuleDict()
        self.data = DataDescription()
        self._buffer: list[tuple[Example, Prediction]] = []
        self._num_bytes = 0
        self._losses: list[tuple[int, dict[str, Tensor]]] = []
        self._is_ready, self._saved = False, dict[str, Any]()
        self._restored: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []  # batches of a resumed run
        if metrics is not None:
            self.set_metrics(metrics)

    def set_metrics(self, metrics: MetricCollection, data: DataDescription | None = None) -> None:
        """Compute ``metrics`` from now on; ``data`` has the names of the outputs."""
        self.metrics = metrics.clone(prefix=self.prefix)
        self.data, self._is_ready = data or DataDescription(), True
        if self._saved:
            self.load_state(self._saved)

    def append(self, example: Example, prediction: Prediction, loss: AnyLoss | None) -> None:
        """Add a batch; ``loss`` is ``None`` where there is no target."""
        kept = example if self.keep_inputs else example.without_inputs()
        if self._restored:  # the classes of its structs become known with this batch
            self._buffer = [(_like(kept, one), _like(prediction, other)) for one, other in self._restored]
            self._restored = []
        self._buffer.append((kept, prediction.detach()))
        self._num_bytes += kept.nbytes + prediction.nbytes
        if loss is not None:
            terms = {"loss": loss.total} | {f"loss_{name}": term for name, term in loss.terms.items()}
            if example.source and self.prefix == "train/":  # validation has splits of its own for each
                terms[f"{example.source}/loss"] = loss.total
            self._losses.append((len(prediction), {name: term.detach() for name, term in terms.items()}))
        if len(self._buffer) >= MAX_BATCHES or self._num_bytes >= self.max_bytes:
            self.flush()

    def flush(self) -> None:
        """Empty the buffer into the metrics."""
        groups: dict[tuple[Any, ...], list[tuple[Example, Prediction]]] = {}
        for example, prediction in self._buffer:
            key = *example.shapes.items(), None, *prediction.shapes.items()
            groups.setdefault(key, []).append((example, prediction))
        for group in groups.values():
            examples, predictions = zip(*group, strict=True)
            batch = type(examples[0]).cat(examples), type(predictions[0]).cat(predictions)
            for name, metric in self.metrics.items():
                with _naming(name):
                    metric.update(*batch)
        if self._losses:
            self._update_losses()
        self._buffer, self._losses, self._num_bytes = [], [], 0

    def compute(self) -> dict[str, Tensor]:
        """Each loss and metric by its logged key, over all batches and ranks since ``reset``."""
        self.flush()
        losses = {f"{self.prefix}{name}": cast(Mean, mean).compute() for name, mean in self.losses.items()}
        values: dict[str, Tensor] = {}
        for name, metric in self.metrics.items():
            if metric.update_called:
                with _naming(name):
                    values[name] = metric.compute()
        return losses | values

    def numbers(self) -> dict[str, Tensor]:
        """As ``compute``, with a number for each output of a metric that is a vector: ``val/f1/<class>``.

        Raises:
            InputError: A metric is neither a number nor a vector.
        """
        numbers: dict[str, Tensor] = {}
        for key, value in self.compute().items():
            numbers |= _by_output(key, value, self.data)
        return numbers

    def reset(self) -> None:
        """Forget all batches."""
        self._buffer, self._losses, self._num_bytes = [], [], 0
        self._restored, self._saved = [], {}
        self.losses.clear()
        self.metrics.reset()

    def state(self) -> dict[str, Any]:
        """What this process has collected since ``reset``: plain values, and tensors on the CPU.

        The buffer stays as it is, so that a run that was stopped sums in the order of one that was not.
        """
        if self._saved:
            return self._saved
        metrics = ((name, module) for name, module in self.named_modules() if isinstance(module, Metric))
        updated = {
            name: {"updates": metric.update_count, "values": metric.metric_state}
            for name, metric in metrics
            if metric.update_called
        }
        buffer = self._restored or [(one.tensors, other.tensors) for one, other in self._buffer]
        state = {"metrics": updated, "buffer": buffer, "losses": self._losses, "bytes": self._num_bytes}
        return apply_to_collection(state, Tensor, Tensor.cpu)

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from the result of ``state``, as soon as the metrics are known."""
        self.reset()
        if not self._is_ready:
            self._saved = state
            return
        for name in state["metrics"]:
            parent, _, loss = name.rpartition(".")
            if parent == "losses":
                self.losses[loss] = Mean()
        modules = dict(self.named_modules())
        for name, saved in state["metrics"].items():
            metric = cast(Metric, modules[name])
            for key, value in saved["values"].items():
                setattr(metric, key, apply_to_collection(value, Tensor, Tensor.to, metric.device))
            set_update_count(metric, saved["updates"])
        self._restored, self._losses = list(state["buffer"]), list(state["losses"])
        self._num_bytes = state["bytes"]

    def _update_losses(self) -> None:
        for name in dict.fromkeys(name for _, terms in self._losses for name in terms):
            sizes, values = zip(
                *((size, terms[name]) for size, terms in self._losses if name in terms), strict=True
            )
            stacked = torch.stack([value.to(values[-1].device) for value in values])  # some were restored
            if name not in self.losses:
                self.losses[name] = Mean().to(stacked.device)
            cast(Mean, self.losses[name]).update(stacked, torch.tensor(sizes, dtype=torch.float32))


def _by_output(key: str, value: Any, data: DataDescription) -> dict[str, Tensor]:
    if not isinstance(value, Tensor) or value.ndim > 1:
        raise InputError(f"metric {key}: expected a number or one for each output; log others by a callback")
    if not value.ndim:
        return {key: value}
    names = data.name_outputs(len(value))
    return {f"{key}/{name}": one for name, one in zip(names, value, strict=True)}


def _like(struct: S, tensors: dict[str, Tensor]) -> S:
    """A struct of the same class, with these tensors in place of its own."""
    device = next(iter(struct.tensors.values())).device if struct.tensors else None
    moved = {name: tensor.to(device) for name, tensor in tensors.items()}
    return replace(struct, **dict.fromkeys(struct.tensors) | moved)


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the metric in an error; most errors come from predictions or targets of another kind."""
    try:
        yield
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, InputError | torch.OutOfMemoryError):
            raise
        raise InputError(
            f"metric {name}: {describe_error(error)}; leave it out, or give it what it needs"
        ) from error
