"""Metrics by name: makes a collection over ``(Example, Prediction)`` of what a config asks for."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torchmetrics
from torch import Tensor
from torchmetrics import Metric, MetricCollection, audio, classification, detection, image, retrieval, text
from torchmetrics.wrappers.abstract import WrapperMetric

from ..contracts import Example, Prediction
from ..errors import InputError
from ..tasks.heads import Joined
from ..trust.allowed import import_allowed

MetricSpec = str | dict[str, Any] | Metric
LIBRARY = (torchmetrics, classification, image, text, audio, detection, retrieval)
Chosen = tuple[Metric | type[Metric], dict[str, Any], dict[str, str]]  # with its arguments and fields
KEYS = {"class_path", "init_args", "fields"}


class OnStructs(WrapperMetric):
    """Feeds a metric from structs; examples without a target or a prediction are not counted.

    Args:
        metric: Any torchmetrics metric.
        fields: Arguments of its ``update`` to names of fields of the example or the prediction, such as
            ``{"preds": "reconstruction", "target": "image"}``; uint8 fields are pixels, and scaled to
            ``[0, 1]``. Empty for ``(preds, target)`` as the prediction gives them.
        head: Name of the prediction to measure inside a joined one; empty for the prediction itself.
    """

    def __init__(self, metric: Metric, fields: Mapping[str, str] | None = None, head: str = "") -> None:
        super().__init__()
        self.metric, self.fields, self.head = metric, dict(fields or {}), head
        self.takes_structs = _takes_structs(metric)

    def update(self, example: Example, prediction: Prediction) -> None:
        """Add a batch.

        Raises:
            InputError: The example and the prediction have no such field.
        """
        if self.head and isinstance(prediction, Joined):
            example, prediction = prediction.head(self.head, example)
        if self.takes_structs:
            self.metric.update(example, prediction)
        elif self.fields:
            known = {**example.tensors, **prediction.tensors}
            if missing := [name for name in self.fields.values() if name not in known]:
                raise InputError(f"no such field: {missing[0]}; there are {', '.join(known)}")
            self.metric.update(**{key: _pixels(known[name]) for key, name in self.fields.items()})
        elif example.target is not None and (pair := prediction.for_metrics(example.target)) is not None:
            self.metric.update(*pair)

    @property
    def update_called(self) -> bool:
        """Whether anything was counted."""
        return self.metric.update_called

    def compute(self) -> Tensor:
        """The wrapped metric's value over all ranks."""
        return self.metric.compute()

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self.metric.reset()


class MetricPlan:
    """Metrics that a config names, made as soon as the number of outputs is known.

    Args:
        specs: Log name to class name (``Accuracy``), or to ``{"class_path": ..., "init_args": {...}}`` with
            ``fields`` where it takes others than predictions and targets (see ``OnStructs``), or to a
            metric. A class is looked for in ``own``, then in torchmetrics; a name with dots is imported.
        prediction: The class of the prediction: it fills in ``task``, ``num_classes``, ``num_labels`` and
            ``num_outputs`` for each metric that takes them, so that a config need not.
        own: Modules with metrics of the project, searched first.

    Raises:
        InputError: There is no such class, or a config may not name it.

    Example:
        >>> class Digits(Prediction):
        ...     task = "multiclass"
        ...     metric_args = classmethod(lambda cls, num: {"task": cls.task, "num_classes": num})
        >>> MetricPlan({"top": "Accuracy"}, Digits).make(3)["top"].metric
        MulticlassAccuracy()
    """

    def __init__(
        self,
        specs: Mapping[str, MetricSpec],
        prediction: type[Prediction],
        own: Sequence[ModuleType] = (),
    ) -> None:
        self.prediction = prediction
        self._chosen: dict[str, Chosen] = {}
        for name, spec in specs.items():
            if "." in name:  # torch allows none in the name of a module
                raise InputError(f"expected a metric's name without a dot, got {name!r}")
            if isinstance(spec, Metric):
                self._chosen[name] = (spec, {}, {})
                continue
            entry: dict[str, Any] = {"class_path": spec} if isinstance(spec, str) else spec
            if unknown := entry.keys() - KEYS:
                raise InputError(
                    f"metric {name!r}: expected {', '.join(sorted(KEYS))}, got {sorted(unknown)}"
                )
            cls = _find(name, str(entry.get("class_path")), (*own, *LIBRARY))
            self._chosen[name] = (cls, dict(entry.get("init_args") or {}), dict(entry.get("fields") or {}))

    @property
    def needs_inputs(self) -> bool:
        """Whether a metric takes fields by name, so that inputs have to be kept."""
        return any(fields for _, _, fields in self._chosen.values())

    def make(self, num_outputs: int | None) -> MetricCollection:
        """The metrics.

        Args:
            num_outputs: Number of classes, labels or values; ``None`` if there is no such number.

        Raises:
            InputError: A class refuses its arguments.
        """
        metrics = {
            name: _build(name, each, self.prediction, num_outputs) for name, each in self._chosen.items()
        }
        return MetricCollection(metrics, compute_groups=False)  # type: ignore[arg-type] # dict is invariant


def _build(name: str, chosen: Chosen, prediction: type[Prediction], num_outputs: int | None) -> Metric:
    metric, given, fields = chosen
    start, slash, _ = name.partition("/")
    heads = prediction.heads() if issubclass(prediction, Joined) else {}
    head = start if slash and start in heads else ""
    known = heads.get(head, prediction).metric_args(num_outputs or 1)
    if isinstance(metric, Metric):
        metric = metric.clone()
    else:
        cls = metric
        # The shorthands of torchmetrics (Accuracy, F1Score, ...) choose their class in __new__.
        own_new = cls.__new__ is not Metric.__new__
        parameters = inspect.signature(cls.__new__ if own_new else cls.__init__).parameters
        filled = {key: value for key, value in known.items() if key in parameters}
        try:
            metric = cls(**{**filled, **given})
        except (TypeError, ValueError, ModuleNotFoundError) as error:
            accepted = ", ".join(key for key in parameters if key not in ("self", "cls", "kwargs"))
            raise InputError(f"metric {name!r}: {error}; {cls.__name__} takes {accepted}") from error
    return metric if _takes_structs(metric) and not head else OnStructs(metric, fields, head)


def _takes_structs(metric: Metric) -> bool:
    return "prediction" in inspect.signature(metric.update).parameters


def _find(name: str, path: str, places: Sequence[ModuleType]) -> type[Metric]:
    module, _, attribute = path.rpartition(".")
    try:
        searched = (import_allowed(module),) if module else places
    except ImportError:
        searched = ()
    for place in searched:
        found = getattr(place, attribute, None)
        # Old names at the top of torchmetrics, from before it had domains, warn.
        is_old = isinstance(found, type) and found.__module__.endswith("._deprecated")
        if isinstance(found, type) and issubclass(found, Metric) and not is_old:
            return found
    if module.partition(".")[0] in ("", "torchmetrics") and _is_hidden(attribute):
        raise InputError(f"metric {name!r}: {path} needs packages that are not installed; see its page")
    names = {key for place in places for key, value in vars(place).items() if isinstance(value, type)}
    hint = " or ".join(get_close_matches(attribute, names, n=2)) or "Accuracy"
    raise InputError(f"metric {name!r}: expected a metric's class name, got {path!r}; try {hint}")


def _is_hidden(name: str) -> bool:
    """Whether torchmetrics has a class that it leaves out because a package is missing."""
    files = Path(torchmetrics.__file__).parent.rglob("*.py")
    return name.isidentifier() and any(f"class {name}(" in path.read_text(encoding="utf-8") for path in files)


def _pixels(values: Tensor) -> Tensor:
    return values.float() / 255 if values.dtype == torch.uint8 else values
