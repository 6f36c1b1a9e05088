"""Metrics by name: what the config asks for becomes a collection over ``(Example, Prediction)``."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import torchmetrics
from torch import Tensor
from torchmetrics import Metric, MetricCollection, classification
from torchmetrics.wrappers.abstract import WrapperMetric

from ..contracts import AnyExample, AnyPrediction
from ..errors import InputError
from ..trust.allowed import import_allowed

MetricSpec = str | dict[str, Any] | Metric
LIBRARY = (torchmetrics, classification)


class OnPrediction(WrapperMetric):
    """Feeds a metric of ``(preds, target)`` from structs; examples without a target are not counted.

    Args:
        metric: Any torchmetrics metric whose ``update`` takes ``(preds, target)``.
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self.metric = metric

    def update(self, example: AnyExample, prediction: AnyPrediction) -> None:
        """Add a batch."""
        if example.target is not None:
            self.metric.update(prediction.preds, example.target)

    @property
    def update_called(self) -> bool:
        """Whether any example had a target."""
        return self.metric.update_called

    def compute(self) -> Tensor:
        """The wrapped metric's value over all ranks."""
        return self.metric.compute()

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.metric.reset()


def select_metrics(
    specs: Mapping[str, MetricSpec], *, task: str, num_classes: int, own: Sequence[ModuleType] = ()
) -> MetricCollection:
    """Build the metrics that a config names.

    ``task`` and ``num_classes`` are given to each class that takes them, so that a config need not.

    Args:
        specs: Log name to class name (``Accuracy``), or to ``{"class_path": ..., "init_args": {...}}``,
            or to a metric. A class is looked for in ``own``, in torchmetrics, then as an import path.
        task: ``"multiclass"`` or ``"binary"``.
        num_classes: Number of classes ``K``.
        own: Modules with metrics of the project, looked into first.

    Raises:
        InputError: There is no such class, no file may name it, or it refuses its arguments.

    Example:
        >>> select_metrics({"top": "Accuracy"}, task="multiclass", num_classes=3)["top"].metric
        MulticlassAccuracy()
    """
    known = {"task": task, "num_classes": num_classes}
    places = (*own, *LIBRARY)
    metrics = {name: _build(name, spec, known, places) for name, spec in specs.items()}
    return MetricCollection(metrics, compute_groups=False)  # type: ignore[arg-type] # dict is invariant


def _build(name: str, spec: MetricSpec, known: dict[str, Any], places: Sequence[ModuleType]) -> Metric:
    if isinstance(spec, Metric):
        metric = spec.clone()
    else:
        spec = {"class_path": spec} if isinstance(spec, str) else spec
        if unknown := spec.keys() - {"class_path", "init_args"}:
            raise InputError(f"metric {name!r}: expected class_path and init_args, got {sorted(unknown)}")
        cls = _find(name, str(spec.get("class_path")), places)
        given = dict(spec.get("init_args") or {})
        # The shorthands of torchmetrics (Accuracy, F1Score, ...) choose their class in __new__.
        own_new = cls.__new__ is not Metric.__new__
        parameters = inspect.signature(cls.__new__ if own_new else cls.__init__).parameters
        filled = {key: value for key, value in known.items() if key in parameters}
        try:
            metric = cls(**{**filled, **given})
        except (TypeError, ValueError) as error:
            accepted = ", ".join(key for key in parameters if key not in ("self", "cls", "kwargs"))
            raise InputError(f"metric {name!r}: {error}; {cls.__name__} takes {accepted}") from error
    takes_structs = "prediction" in inspect.signature(metric.update).parameters
    return metric if takes_structs else OnPrediction(metric)


def _find(name: str, path: str, places: Sequence[ModuleType]) -> type[Metric]:
    module, _, attribute = path.rpartition(".")
    try:
        searched = (import_allowed(module),) if module else places
    except ImportError:
        searched = ()
    for place in searched:
        found = getattr(place, attribute, None)
        if isinstance(found, type) and issubclass(found, Metric):
            return found
    names = {key for place in places for key, value in vars(place).items() if isinstance(value, type)}
    hint = " or ".join(get_close_matches(attribute, names, n=2)) or "Accuracy"
    raise InputError(f"metric {name!r}: expected a metric's class name, got {path!r}; try {hint}")
