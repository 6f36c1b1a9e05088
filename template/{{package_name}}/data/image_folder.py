"""Your own photos: a folder for each class."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from .base import ImageData
from .cache import cached_images
from .dataset import ImageTensors
from .images import find_images, read_images

log = logging.getLogger(__name__)


class ImageFolder(ImageData):
    """Images in ``<data_dir>/train/<class>/``, and likewise ``val`` and ``test`` where they exist.

    Without ``val/`` a share of the training images is held out. Images are decoded once, into
    ``<data_dir>/.cache``; the cache is made anew when a file was added, removed or changed.

    Args:
        data_dir: The folder.
        image_size: Height and width in pixels to which images are scaled and cropped.
        val_dirs: Further validation sets by name, each a folder with a folder for each class.
        **kwargs: See :class:`ImageData`.

    Raises:
        InputError: A folder is missing or empty, or classes differ between splits.
    """

    def __init__(
        self,
        data_dir: str = "data",
        image_size: int = 32,
        val_dirs: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        self.root = Path(data_dir)
        train = self.root / "train"
        if not train.is_dir():
            raise InputError(
                f"expected {train}/<class>/*.jpg, got no folder {train}; set --data.init_args.data_dir"
            )
        self.class_names = sorted(path.name for path in train.iterdir() if _is_class(path))
        if len(self.class_names) < 2:
            raise InputError(
                f"expected a folder for each of 2 or more classes in {train}, got {self.class_names}"
            )
        self.image_shape = (3, image_size, image_size)
        self.val_dirs = {name: Path(path) for name, path in (val_dirs or {}).items()}
        for path in self.val_dirs.values():
            if not path.is_dir():
                raise InputError(f"expected {path}/<class>/*.jpg, got no folder {path}; correct val_dirs")

    def prepare_data(self) -> None:
        for split in ("train", "val", "test"):
            self._sets_of(split)

    def load(self, split: str) -> dict[str, ImageTensors]:
        folders = {split: self.root / split}
        if split == "val":
            folders |= self.val_dirs
        return {name: self._read(name, path) for name, path in folders.items() if path.is_dir()}

    def _read(self, name: str, folder: Path) -> ImageTensors:
        if unknown := {path.name for path in folder.iterdir() if _is_class(path)} - set(self.class_names):
            raise InputError(
                f"expected the classes of {self.root / 'train'} in {folder}, got also {sorted(unknown)}"
            )
        by_class = [find_images(folder / label) for label in self.class_names]
        for label, files in zip(self.class_names, by_class, strict=True):
            if not files:
                raise InputError(
                    f"expected images in {folder / label}, got none; add some or remove the class"
                )
        paths = [path for files in by_class for path in files]
        targets = torch.tensor([target for target, files in enumerate(by_class) for _ in files])
        shape = (len(paths), *self.image_shape)
        cache = self.root / ".cache"

        def fill(images: torch.Tensor) -> None:
            log.info(f"decoding {len(paths)} images of {folder}, once")
            read_images(paths, images)

        images = cached_images(cache, f"{name}-{_fingerprint(paths, shape)}", shape, fill)
        return ImageTensors(images, targets, self.num_classes)


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _fingerprint(paths: list[Path], shape: tuple[int, ...]) -> str:
    """Names the content of a cache: the files with their sizes and times, and how they were read."""
    digest = hashlib.sha256(repr(("v1", shape)).encode())
    for path in paths:
        state = path.stat()
        digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
