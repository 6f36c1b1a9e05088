"""Datamodules of lightning-bolts, whose last release (0.7.0, 2023) was made for Lightning 1.

Nothing of bolts is imported here. Call ``import_bolts`` first, as the command line does; code of your own may
also import more of it in ``with lightning_1():``.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning import LightningDataModule, strategies
from torch import Tensor
from torch.utils.data import Subset

from ..contracts import DataDescription, DataModule, Example
from ..errors import InputError
from ..images.image_files import read_batches

# Modules that bolts imports and Lightning 2 has moved: the old name, and today's.
MOVED = {
    "pytorch_lightning.utilities.apply_func": "lightning_utilities.core.apply_func",
    "pytorch_lightning.utilities.cli": "pytorch_lightning.cli",
    "pytorch_lightning.utilities.distributed": "pytorch_lightning.utilities.rank_zero",
}
# Types that NumPy no longer has. Bolts would add them for good when it is imported, and uses none of them.
TYPES = {"object": object, "int": int, "float": float}
# The datamodules of bolts know the stages fit and test.
STAGES = {"validate": "fit", "predict": "test"}


@contextmanager
def lightning_1() -> Iterator[None]:
    """Give Lightning and NumPy the names that bolts imports, and take them away again."""
    moved = {old: import_module(new) for old, new in MOVED.items() if find_spec(old) is None}
    parallel = type("DataParallelStrategy", (strategies.Strategy,), {})  # a class that no Trainer has
    with (
        _added(sys.modules, moved),
        _added(strategies.__dict__, {"DataParallelStrategy": parallel}),
        _added(np.__dict__, TYPES),
    ):
        yield


def import_bolts(names: Iterable[str] = ()) -> None:
    """Import bolts.

    Args:
        names: Import paths of classes whose modules ``import pl_bolts`` may leave out. One that does not
            exist is skipped; whatever looks up the class reports it.

    Raises:
        InputError: lightning-bolts is not installed.
    """
    if find_spec("pl_bolts") is None:
        raise InputError("lightning-bolts is not installed; run make init EXTRAS=dev,bolts")
    with lightning_1():
        import_module("pl_bolts")
        for name in names:
            with contextlib.suppress(ImportError):
                import_module(name.rpartition(".")[0])


@dataclass(kw_only=True, eq=False)
class BoltsExample(Example):
    """A batch of bolts.

    Attributes:
        image: ``(B, C, H, W)`` float, normalised.
    """

    image: Tensor


class BoltsData(DataModule):
    """Wraps a ``VisionDataModule`` of bolts; models and commands take it like any other data.

    Bolts decodes one image at a time, slower than the datamodules here. A resumed run draws a new order.

    Args:
        datamodule: Such as ``pl_bolts.datamodules.CIFAR10DataModule``.

    Raises:
        InputError: The datamodule lacks ``num_classes`` or ``dims``.
    """

    num_classes: int
    in_channels: int

    def __init__(self, datamodule: LightningDataModule) -> None:
        super().__init__()
        self.datamodule: Any = datamodule
        try:
            self.num_classes = self.datamodule.num_classes
            self.image_shape: tuple[int, int, int] = tuple(self.datamodule.dims)
        except AttributeError as error:
            raise InputError(
                "expected a datamodule of lightning-bolts with num_classes and dims, got "
                f"{type(datamodule).__name__}; those of this project need no BoltsData"
            ) from error
        self.in_channels = self.image_shape[0]

    @property
    def class_names(self) -> list[str]:
        """Names from the dataset, once it is set up, else the indices."""
        sets = [vars(self.datamodule).get(f"dataset_{split}") for split in ("train", "test")]
        for dataset in [part.dataset if isinstance(part, Subset) else part for part in sets]:
            names = getattr(dataset, "classes", ())  # those of torchvision have it
            if len(names) == self.num_classes:
                return [str(name) for name in names]
        return [str(label) for label in range(self.num_classes)]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by which bolts normalises pixels in ``[0, 1]``, ``(C,)`` each.

        Its batches are normalised; with these numbers the model treats images from files in the same way.
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
        names, shapes = tuple(self.class_names), {"image": self.image_shape}
        return DataDescription(num_outputs=self.num_classes, class_names=names, shapes=shapes)

    @classmethod
    def read(cls, path: Path, data: DataDescription, **options: Any) -> Iterator[tuple[list[str], Example]]:
        """For ``predict``: an image, or a folder that is searched with its subfolders."""
        for names, pixels, _ in read_batches(path, data.shapes["image"], **options):
            yield names, BoltsExample(image=pixels)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> "BoltsExample":
        image, target = batch
        return BoltsExample(image=image, target=target)


@contextmanager
def _added(namespace: dict[str, Any], values: Mapping[str, Any]) -> Iterator[None]:
    """Add what a namespace lacks of ``values``, and remove it at the end."""
    missing = {name: value for name, value in values.items() if name not in namespace}
    namespace.update(missing)
    try:
        yield
    finally:
        for name in missing:
            namespace.pop(name, None)
