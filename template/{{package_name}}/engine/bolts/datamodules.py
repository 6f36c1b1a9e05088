"""Datamodules of lightning-bolts, whose last release (0.7.0, 2023) was made for Lightning 1.

Nothing of bolts is imported here; its users call ``install`` first, as the command line does.
"""

import sys
import warnings
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from PIL import Image
from pytorch_lightning import LightningDataModule, loggers, strategies
from torch import Tensor

from ..contracts import DataDescription, DataModule, Model
from ..errors import InputError

# Modules that bolts imports and Lightning 2 has moved: the old name, and today's.
MOVED = {
    "pytorch_lightning.utilities.apply_func": "lightning_utilities.core.apply_func",
    "pytorch_lightning.utilities.cli": "pytorch_lightning.cli",
    "pytorch_lightning.utilities.distributed": "pytorch_lightning.utilities.rank_zero",
}
# The datamodules of bolts know the stages fit and test.
STAGES = {"validate": "fit", "predict": "test"}


def install() -> None:
    """Put in place what ``import pl_bolts`` expects of Lightning, where it is missing.

    Raises:
        InputError: lightning-bolts is not installed.
    """
    if find_spec("pl_bolts") is None:
        raise InputError("expected lightning-bolts installed; run make init EXTRAS=dev,bolts")
    for old, new in MOVED.items():
        try:
            import_module(old)
        except ModuleNotFoundError:
            _serve_copy(new, old)
    if not hasattr(loggers, "LightningLoggerBase"):
        setattr(loggers, "LightningLoggerBase", loggers.Logger)  # noqa: B010 # unknown to type checkers
    if not hasattr(strategies, "DataParallelStrategy"):  # gone for good; bolts asks if it is in use
        stub = type("DataParallelStrategy", (strategies.Strategy,), {})
        setattr(strategies, "DataParallelStrategy", stub)  # noqa: B010
    warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # bolts asks for it


class BoltsData(DataModule):
    """Wraps a ``VisionDataModule`` of bolts; models and commands take it like any other data.

    Bolts decodes image by image: slower than the datamodules here. Resuming draws a new order.

    Args:
        datamodule: Such as ``pl_bolts.datamodules.CIFAR10DataModule``.

    Raises:
        InputError: The datamodule does not say ``num_classes`` and ``dims``.
    """

    def __init__(self, datamodule: LightningDataModule) -> None:
        super().__init__()
        if not (hasattr(datamodule, "num_classes") and hasattr(datamodule, "dims")):
            raise InputError(
                "expected a datamodule of lightning-bolts with num_classes and dims, got "
                f"{type(datamodule).__name__}; those of this project need no BoltsData"
            )
        self.datamodule: Any = datamodule
        self.num_classes: int = self.datamodule.num_classes
        self.image_shape: tuple[int, int, int] = tuple(self.datamodule.dims)
        self.in_channels = self.image_shape[0]

    @property
    def class_names(self) -> list[str]:
        """Those that the dataset knows once it was set up, else the indices."""
        sets = [getattr(self.datamodule, f"dataset_{split}", None) for split in ("train", "test")]
        for dataset in [getattr(part, "dataset", part) for part in sets]:  # a Subset wraps one
            if len(names := getattr(dataset, "classes", ())) == self.num_classes:
                return [str(name) for name in names]
        return [str(label) for label in range(self.num_classes)]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by which bolts normalises pixels in ``[0, 1]``, of ``(C,)``.

        Its batches are normalised; with these numbers the model treats images from files alike.
        """
        transform = self.datamodule.val_transforms or self.datamodule.default_transforms()
        mode, size = "L" if self.in_channels == 1 else "RGB", list(self.image_shape[:0:-1])
        images = [transform(Image.new(mode, size, color)) for color in ("black", "white")]
        black, white = (image.double().flatten(1).mean(dim=1) for image in images)
        std = 1 / (white - black)
        return (-black * std).float(), std.float()

    def prepare_data(self) -> None:
        try:
            self.datamodule.prepare_data()
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"expected {type(self.datamodule).__name__} to find or download its data in "
                f"{self.datamodule.data_dir}, got: {error}; put it there or connect to the network"
            ) from error

    def setup(self, stage: str) -> None:
        if self.trainer and self.trainer.strategy.root_device.type == "cpu":
            self.datamodule.pin_memory = False  # torch warns otherwise
        self.datamodule.setup(STAGES.get(stage, stage))

    def train_dataloader(self) -> Any:
        return self.datamodule.train_dataloader()

    def val_dataloader(self) -> Any:
        return self.datamodule.val_dataloader()

    def test_dataloader(self) -> Any:
        return self.datamodule.test_dataloader()

    predict_dataloader = test_dataloader

    def describe(self) -> DataDescription:
        return DataDescription(class_names=tuple(self.class_names), image_shape=self.image_shape)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        image, target = batch
        model = self.trainer.lightning_module if self.trainer else None
        return replace(model.make_example(image), target=target) if isinstance(model, Model) else batch


def _serve_copy(name: str, alias: str) -> None:
    """Make module ``name`` importable as ``alias``: a copy, so that the original keeps its name."""
    sys.modules[alias] = copy = ModuleType(alias)
    vars(copy).update({k: v for k, v in vars(import_module(name)).items() if k[:2] != "__"})
    parent, _, attribute = alias.rpartition(".")
    setattr(import_module(parent), attribute, copy)
