"""All that the engine expects of the project's structs, models and datamodules.

The rooms of the project subclass what stands here: ``structs`` the first three, the models ``module.Module``
(a ``Model``), the datamodules ``data.BatchedData`` (a ``DataModule``). A plain ``LightningDataModule`` trains
as well; the engine then knows nothing of its data.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from torch import Tensor

from .errors import InputError
from .foreign import datamodule_of
from .structs import TensorStruct

# The rooms whose classes a config may name without their module: imported, where they exist, before one is
# parsed.
ROOMS = ("model", "data", "callbacks")


@dataclass(kw_only=True, eq=False)
class AnyExample(TensorStruct):
    """A batch of examples: what is known of each. A subclass adds what goes into the model.

    Attributes:
        target: ``(B, ...)``, or ``None`` if unlabelled.
        index: ``(B,)`` int64 positions in the dataset, or ``None``. Augmentation draws from it, and pictures
            name it.
    """

    target: Tensor | None = None
    index: Tensor | None = None

    def without_inputs(self) -> "AnyExample":
        """Target and index alone, for what keeps many batches."""
        return AnyExample(target=self.target, index=self.index)


@dataclass(kw_only=True, eq=False)
class AnyPrediction(TensorStruct):
    """A batch of predictions. A subclass says what a model predicts, and how it is scored."""

    @property
    def preds(self) -> Tensor:
        """``(B, ...)``: the form in which torchmetrics takes predictions."""
        raise NotImplementedError(f"{type(self).__name__} must define preds")

    def columns(self, class_names: Sequence[str]) -> dict[str, list[Any]]:
        """What ``predict`` writes: the name of each column, and a value for each example.

        Args:
            class_names: Names of the classes, by index.
        """
        raise NotImplementedError(f"{type(self).__name__} must define columns(class_names)")


class AnyLoss(Protocol):
    """What ``compute_loss`` returns: scalar terms by name, and the total that is minimised."""

    @property
    def terms(self) -> dict[str, Tensor]:
        """``()`` float each, the mean over the batch."""
        ...

    @property
    def total(self) -> Tensor:
        """``()`` float."""
        ...

    def detach(self) -> Self:
        """A copy without gradient."""
        ...


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What a model has to know of its data; it is kept in the checkpoint.

    Attributes:
        class_names: Names of the classes, by index; empty where there are none, or they are unknown.
        image_shape: ``(C, H, W)`` of all images; ``None`` if they are not of one shape, or unknown.
    """

    class_names: tuple[str, ...] = ()
    image_shape: tuple[int, ...] | None = None

    def updated(self, newer: "DataDescription") -> "DataDescription":
        """What ``newer`` says, and this where it says nothing.

        Raises:
            InputError: The numbers of classes differ.
        """
        num_known, num_classes = len(self.class_names), len(newer.class_names)
        if num_known and num_classes not in (0, num_known):
            raise InputError(
                f"the model was made for {num_known} classes, but the data has {num_classes}; "
                "use the data it was trained on, or train a new model"
            )
        return DataDescription(
            class_names=newer.class_names or self.class_names,
            image_shape=newer.image_shape or self.image_shape,
        )


class DataModule(LightningDataModule):
    """What the engine asks a datamodule beside its loaders; here it knows nothing."""

    def describe(self) -> DataDescription:
        """What the model has to know; cheap, and before ``setup``."""
        return DataDescription()

    def statistics(self) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation of the training inputs, ``(C,)`` float32; known after ``setup``."""
        return None

    @property
    def val_sets(self) -> dict[str, bool]:
        """Names of the validation sets by loader, and whether each counts in ``val/...``."""
        return {"val": True}

    def has_test(self) -> bool:
        """Whether there is a test set."""
        return True


def data_of(trainer: Trainer) -> DataModule:
    """The datamodule in use, or one that knows nothing where it is a plain one or there is none."""
    data = datamodule_of(trainer)
    return data if isinstance(data, DataModule) else DataModule()


class Model(LightningModule):
    """What the engine asks a model; ``module.Module`` answers all but the first three.

    Attributes:
        data: What is known of the data; part of the checkpoint.
    """

    data: DataDescription

    @abstractmethod
    def forward(self, example: Any) -> Any:
        """``AnyExample -> AnyPrediction``, of a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(example)")

    @abstractmethod
    def compute_loss(self, example: Any, prediction: Any) -> AnyLoss:
        """The loss of a batch whose examples have targets."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_loss(example, prediction)")

    @abstractmethod
    def make_example(self, pixels: Tensor) -> AnyExample:
        """For ``predict``: the batch that ``forward`` takes, of ``(B, C, H, W)`` uint8 images."""
        raise NotImplementedError(f"{type(self).__name__} must define make_example(pixels)")

    def use_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Take over the statistics of the training inputs, ``(C,)`` float32 each, before training begins."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, by index."""
        return list(self.data.class_names)

    def name_classes(self, num_classes: int) -> list[str]:
        """``num_classes`` names; numbers where fewer are known."""
        names = self.class_names[:num_classes]
        return names if len(names) == num_classes else [str(label) for label in range(num_classes)]


def names_of(model: LightningModule, num_classes: int) -> list[str]:
    """Names of a model's classes; numbers where it is another kind of LightningModule."""
    if isinstance(model, Model):
        return model.name_classes(num_classes)
    return [str(label) for label in range(num_classes)]
