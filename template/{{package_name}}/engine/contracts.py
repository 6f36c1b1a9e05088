"""Everything the engine expects of the project's structs, models and datamodules.

The rooms of the project subclass what is here: ``structs`` the first two, the models ``module.Module`` (a
``Model``), the datamodules ``data.BatchedData`` (a ``DataModule``). An input is a subclass of ``Example``, a
task one of ``Prediction``: the engine calls their methods and never checks a model's type. A
plain ``LightningDataModule`` trains as well; the engine then knows nothing of its data.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, Self

from PIL import Image
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from torch import Tensor

from .errors import InputError
from .foreign import datamodule_of
from .structs import TensorStruct

# The rooms whose classes a config may name without their module; they are imported before one is parsed.
ROOMS = ("model", "data", "callbacks")
OnError = Literal["raise", "skip"]
Names = list[str] | dict[str, list[str]]  # of examples in files: a path each, or columns
# The class of ignored pixels and tokens, as in losses of torch.
IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What a model needs to know about its data: passed to the model, and kept in its checkpoint.

    Attributes:
        num_outputs: Number of predicted classes, labels or values; ``None`` if unknown.
        class_names: Names of the classes, labels or values, by index; empty if unknown.
        shapes: Shape of each input without the batch, such as ``{"image": (3, 32, 32)}``; only if fixed.
        extras: Plain values specific to the data, such as a vocabulary.

    Raises:
        InputError: A name is not valid UTF-8, such as that of a folder on an old disk.
    """

    num_outputs: int | None = None
    class_names: tuple[str, ...] = ()
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if broken := [name for name in self.class_names if name.encode(errors="ignore").decode() != name]:
            raise InputError(f"expected names in UTF-8, got {broken[0]!r}; rename it, or set LC_ALL=C.UTF-8")

    def updated(self, newer: "DataDescription") -> "DataDescription":
        """``newer``, with gaps filled from this one.

        Raises:
            InputError: The numbers of outputs differ.
        """
        known, got = self.num_outputs, newer.num_outputs
        if known is not None and got not in (None, known):
            raise InputError(
                f"the model was made for {known} outputs (num_outputs, num_classes), but the data has {got}; "
                "use the data it was trained on, or train a new model"
            )
        return DataDescription(
            num_outputs=known if got is None else got,
            class_names=newer.class_names or self.class_names,
            shapes={**self.shapes, **newer.shapes},
            extras={**self.extras, **newer.extras},
        )

    def name_outputs(self, num_outputs: int | None) -> list[str]:
        """``num_outputs`` names; numbers if fewer are known, and all known ones for ``None``."""
        if num_outputs is None:
            return list(self.class_names)
        names = list(self.class_names[:num_outputs])
        return names if len(names) == num_outputs else [str(number) for number in range(num_outputs)]


@dataclass(kw_only=True, eq=False)
class Example(TensorStruct):
    """A batch of examples: what is known of each. A subclass adds what goes into the model.

    Attributes:
        target: ``(B, ...)``: class indices, a row of labels, values or a mask; ``None`` if unlabelled.
        index: ``(B,)`` int64 positions in the dataset; augmentation depends on them, and pictures show them.
        soft_target: ``(B, K)`` float shares of classes, which a loss takes in place of ``target``.
        source: Name of the data set that the batch is of, where several take turns.
        spatial: Fields that lie on the image, such as a mask: augmentation moves them with it.
    """

    target: Tensor | None = None
    index: Tensor | None = None
    soft_target: Tensor | None = None
    source: str = ""
    spatial: ClassVar[tuple[str, ...]] = ()
    fills: ClassVar[Mapping[str, int]] = {"target": IGNORED}  # padding is unknown

    def without_inputs(self) -> "Example":
        """Only target and index, for callers that keep many batches."""
        return Example(target=self.target, index=self.index)

    def pictures(self) -> Tensor | None:
        """``(B, C, H, W)`` uint8: how the inputs look; ``None`` if they are not images."""
        return None

    def texts(self, data: DataDescription) -> list[str]:
        """The inputs as text, for those that are not images."""
        return [""] * len(self)


@dataclass(kw_only=True, eq=False)
class Prediction(TensorStruct):
    """A batch of predictions. A subclass is a task: what is predicted, how it is scored, shown and written.

    torchmetrics needs ``preds``, and ``nll`` is needed unless the model has its own loss; whatever else a
    subclass leaves out is missed only where it is used.

    Attributes:
        task: torchmetrics' word for it, if it has one.
        default_metrics: Log name to class name, for models whose config names no metrics.
    """

    task: ClassVar[str] = ""
    default_metrics: ClassVar[dict[str, str]] = {}

    @classmethod
    def from_outputs(cls, outputs: Tensor) -> Self:
        """A prediction from the outputs of a network's last layer, ``(B, K, ...)``."""
        raise NotImplementedError(f"{cls.__name__} must define from_outputs(outputs)")

    @classmethod
    def metric_args(cls, num_outputs: int) -> dict[str, Any]:
        """Arguments of metrics that the config need not give; each metric takes those it knows."""
        return {"task": cls.task} if cls.task else {}

    @property
    def num_outputs(self) -> int | None:
        """Number of classes, labels or values; ``None`` if there is no such number."""
        return None

    def check(self, target: Tensor) -> None:
        """Refuse targets whose shape does not fit.

        Raises:
            InputError: It does not; the message says what was expected, what was found, and the remedy.
        """

    @property
    def preds(self) -> Tensor:
        """``(B, ...)``: the form in which torchmetrics takes predictions."""
        raise NotImplementedError(f"{type(self).__name__} must define preds")

    def for_metrics(self, target: Tensor) -> tuple[Any, Any] | None:
        """``preds`` and ``target``, as torchmetrics takes them; ``None`` if nothing was predicted."""
        return self.preds, target

    def for_criterion(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and ``target``, as a loss of torch takes them."""
        raise NotImplementedError(f"{type(self).__name__} must define for_criterion(target)")

    def nll(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: the negative log-likelihood of each example's target, the default loss."""
        raise NotImplementedError(f"{type(self).__name__} must define nll(target)")

    def error(self, target: Tensor) -> Tensor:
        """``(B,)`` float32: how wrong each prediction is; 0 is right."""
        raise NotImplementedError(f"{type(self).__name__} must define error(target)")

    @property
    def uncertainty(self) -> Tensor:
        """``(B,)`` float32 in ``[0, 1]``: the entropy as a share of the largest possible one."""
        raise NotImplementedError(f"{type(self).__name__} must define uncertainty")

    def per_example(self, values: Tensor, target: Tensor) -> Tensor:
        """``(B,)``: the mean over what counts in ``values``, ``(B, ...)``, such as losses of pixels."""
        return values.flatten(1).mean(dim=1) if values.ndim > 1 else values

    def draw_on(self, pictures: Tensor, example: Example) -> Tensor:
        """``(B, C, H, W)`` uint8: the examples' pictures with the predictions."""
        return pictures

    def captions(self, example: Example, names: Sequence[str]) -> list[str]:
        """A line or two for each example: the target and the prediction."""
        return [""] * len(self)

    def columns(self, names: Sequence[str], target: Tensor | None = None) -> dict[str, list[Any]]:
        """What ``predict`` and tables write: the name of each column, and a value for each example.

        Args:
            names: Names of the outputs, by index.
            target: ``(B, ...)``, if the targets are written, too.
        """
        raise NotImplementedError(f"{type(self).__name__} must define columns(names, target)")

    def images(self, data: DataDescription) -> list[Image.Image]:
        """What ``predict`` writes as images next to its table, one for each example; empty for none."""
        return []


class AnyLoss(Protocol):
    """What ``compute_loss`` returns: scalar terms by name, and the total to minimise."""

    @property
    def terms(self) -> dict[str, Tensor]:
        """``()`` float each, the mean over the batch."""
        ...

    @property
    def weights(self) -> Mapping[str, float]:
        """Factor of each term; 1 if it is not named."""
        ...

    @property
    def total(self) -> Tensor:
        """``()`` float."""
        ...

    def detach(self) -> Self:
        """A copy without gradient."""
        ...


class DataModule(LightningDataModule):
    """What the engine asks of a datamodule besides its loaders; the defaults know nothing.

    Attributes:
        sources: Data sets that take turns, by name.
    """

    sources: "Mapping[str, Any]" = MappingProxyType({})

    def describe(self) -> DataDescription:
        """What the model needs to know; known before ``setup``."""
        return DataDescription()

    def statistics(self) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation of the training inputs, ``(C,)`` float32; known after ``setup``."""
        return None

    def fingerprint(self) -> dict[str, str | int]:
        """What a resumed run must find again: the sets, the size of a batch; known after ``setup``."""
        return {}

    @property
    def val_sets(self) -> dict[str, bool]:
        """Names of the validation sets by loader, and whether each counts in ``val/...``."""
        return {"val": True}

    @property
    def test_sets(self) -> dict[str, bool]:
        """The same for the test."""
        return {"test": True}

    def has_test(self) -> bool:
        """Whether there is a test set."""
        return True

    @classmethod
    def read(
        cls, path: Path, data: DataDescription, *, batch_size: int, on_error: OnError, skipped: Path
    ) -> Iterator[tuple[Names, Example]]:
        """The batches of a file or folder, for ``predict``, each with a name for each example.

        Args:
            path: What the user named.
            data: The description that the model has, from its checkpoint.
            batch_size: Examples at a time.
            on_error: ``skip`` leaves out what cannot be read.
            skipped: File to list what was left out.

        Raises:
            InputError: There is nothing there, or it cannot be read.
        """
        raise InputError(f"{cls.__name__} reads no files; to predict, define its classmethod read")

    @classmethod
    def restore(cls, image: Image.Image, name: str, data: DataDescription) -> Image.Image:
        """A predicted image, in the size of the file of that name; by default unchanged."""
        return image


def data_of(trainer: Trainer) -> DataModule:
    """The datamodule in use, or one that knows nothing if it is a plain one, or absent."""
    data = datamodule_of(trainer)
    return data if isinstance(data, DataModule) else DataModule()


class Model(LightningModule):
    """What the engine asks of a model; ``module.Module`` lacks only ``forward`` and ``compute_loss``.

    Attributes:
        data: What is known of the data; part of the checkpoint.
        data_class: Import path of the datamodule that a loaded model was trained on.
        prediction_class: What ``forward`` returns, so that metrics and callbacks can be chosen before it
            runs.
        needs_targets: Whether ``compute_loss`` needs targets; that of an autoencoder does not.
    """

    data: DataDescription
    data_class: str = ""
    prediction_class: ClassVar[type[Prediction]] = Prediction
    needs_targets: ClassVar[bool] = True

    @abstractmethod
    def forward(self, example: Any) -> Any:
        """``Example -> Prediction``, of a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(example)")

    @abstractmethod
    def compute_loss(self, example: Any, prediction: Any) -> AnyLoss:
        """The loss of a batch whose examples have targets."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_loss(example, prediction)")

    def has_loss(self, example: Any) -> bool:
        """Whether ``compute_loss`` can handle a batch of validation or test."""
        return example.target is not None or not self.needs_targets

    def example_loss(self, example: Any, prediction: Any) -> Tensor:
        """``(B,)`` float32: the loss of each example by itself, which callbacks rank by."""
        return prediction.nll(example.target)

    def example_of(self, example: Any, prediction: Any) -> Any:
        """The example with the target of a prediction, which a model may make itself, as for a pair."""
        return example

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Receive the statistics of the training inputs, ``(C,)`` float32 each, before training begins."""

    def scaled_layers(self) -> Mapping[str, tuple[float, frozenset[str]]]:
        """Layers with a rate of their own: its share of the optimizer's, and their parameters' names."""
        return {}

    def pictures(self, example: Any) -> Tensor | None:
        """``(B, C, H, W)`` uint8: how the inputs look; overridden by models that take normalised images."""
        return example.pictures()


def describe_model(model: LightningModule) -> DataDescription:
    """What a model knows of its data; nothing if it is a plain LightningModule."""
    return model.data if isinstance(model, Model) else DataDescription()


def can_predict(model: LightningModule, data: LightningDataModule) -> bool:
    """Whether ``predict`` can read files for a model, and write what it predicts."""
    if not isinstance(model, Model) or not isinstance(data, DataModule):
        return False
    reads = data.read.__func__ is not DataModule.read.__func__
    return reads and model.prediction_class.columns is not Prediction.columns
