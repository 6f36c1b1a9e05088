"""What a checkpoint keeps of a model besides its weights."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

from ..contracts import DataDescription, Model
from ..errors import InputError
from ..foreign import is_attached

# Arguments that each run sets, and that a loaded model does not need; the description of the data is kept
# separately.
OF_TRAINING = {
    "data",
    "optimizer",
    "lr_scheduler",
    "param_groups",
    "optimizers",
    "criterion",
    "metrics",
    "use_compile",
    "weights",
}


class Remembered(Model):
    """A model that remembers the arguments of its class, so that a checkpoint is enough to build it again.

    Only arguments of the class itself, given by name: what it passes on to its base follows from them.
    """

    _given: Mapping[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        model = super().__new__(cls)
        vars(model)["_given"] = kwargs  # torch allows no other attribute before __init__
        return model

    def __init__(self) -> None:
        given = self._given
        super().__init__()
        self._given = given
        self.save_hyperparameters(plain_only(given), logger=False)

    def remember(self, **arguments: Any) -> None:
        """Keep these arguments in place of those given; call it before ``__init__`` of this class."""
        vars(self)["_given"] = {**self._given, **arguments}

    def description(self, data: object) -> dict[str, Any]:
        """Plain values for a checkpoint; ``data`` is the datamodule in use."""
        return {
            "model_class": _import_path(type(self)),
            "data_class": _import_path(type(data)),
            "data": asdict(self.data),
            "takes_data": self._given.get("data") is not None,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were trained with other outputs or inputs than the data in use."""
        if is_attached(self) and "data" in checkpoint:
            update(DataDescription(**checkpoint["data"]), self.data)


def update(known: DataDescription, newer: DataDescription) -> DataDescription:
    """What a model knows of its data, with what ``newer`` says.

    Raises:
        InputError: The numbers of outputs differ, or extras of the same name do, such as vocabularies, by
            which inputs would have another meaning.
    """
    both = known.extras.keys() & newer.extras.keys()
    if other := sorted(name for name in both if known.extras[name] != newer.extras[name]):
        raise InputError(
            f"the data has another {other[0]} than the model was trained with; "
            "use the data it was trained on, or train a new model"
        )
    return known.updated(newer)


def plain_only(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are plain values, without those in ``OF_TRAINING``.

    >>> plain_only({"width": 8, "metrics": {"a": "Accuracy"}, "net": object()})
    {'width': 8}
    """
    return {key: value for key, value in given.items() if key not in OF_TRAINING and _is_plain(value)}


def _import_path(cls: type) -> str:
    """The path by which a class can be imported again."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_plain(value: object) -> bool:
    """Whether ``value`` is what a checkpoint may hold: numbers, text and containers of them."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
