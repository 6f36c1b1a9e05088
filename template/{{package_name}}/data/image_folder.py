"""Your own photos: a folder for each class."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..engine.data import ExampleSet
from ..engine.errors import InputError
from ..engine.images.cache import cached_images
from ..engine.images.image_files import SUFFIXES, OnError, find_by_class, read_images, refuse, warn_skipped
from ..structs import ImageExample
from .images import ImageData

log = logging.getLogger(__name__)


class ImageFolder(ImageData):
    """Images in ``<data_dir>/train/<class>/``, and likewise ``val`` and ``test`` where they exist.

    Without ``val/`` a share of the training images is held out. Images are decoded once, into
    ``<data_dir>/.cache``; the cache is made anew when a file was added, removed or changed.

    Args:
        data_dir: The folder.
        image_size: Height and width in pixels to which images are scaled and cropped.
        val_dirs: Further validation sets by name, each a folder with a folder for each class.
        on_error: ``skip`` leaves out the images that cannot be read, counts them in a warning and lists
            them in ``<data_dir>/.cache/<set>-skipped.txt``; ``raise`` refuses them.
        **kwargs: See ``ImageData``.

    Raises:
        InputError: A folder is missing or empty, classes differ between splits, or images cannot be read.
    """

    def __init__(
        self,
        data_dir: str = "data",
        image_size: int = 32,
        val_dirs: dict[str, str] | None = None,
        on_error: OnError = "raise",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        self.root = Path(data_dir)
        self.on_error: OnError = on_error
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
            self.sets_of(split)

    def load(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        folders = {split: self.root / split}
        if split == "val":
            folders |= self.val_dirs
        return {name: self._read(name, path) for name, path in folders.items() if path.is_dir()}

    def _read(self, name: str, folder: Path) -> ExampleSet[ImageExample]:
        if unknown := {path.name for path in folder.iterdir() if _is_class(path)} - set(self.class_names):
            raise InputError(
                f"expected the classes of {self.root / 'train'} in {folder}, got also {sorted(unknown)}"
            )
        by_class = find_by_class(folder, self.class_names)
        for label, files in zip(self.class_names, by_class, strict=True):
            if not files:
                raise InputError(f"expected images in {folder / label}, got {_others(folder / label)}")
        paths = [path for files in by_class for path in files]
        targets = torch.tensor([target for target, files in enumerate(by_class) for _ in files])
        images, rows = self._decode(name, folder, paths)
        unreadable = sorted(set(range(len(paths))) - set(rows.tolist()))
        _warn([paths[row] for row in unreadable], len(paths), self.root / ".cache" / f"{name}-skipped.txt")
        for target in set(range(self.num_classes)) - set(targets[rows].tolist()):
            raise InputError(
                f"expected images in {folder / self.class_names[target]}, got none of "
                f"{len(by_class[target])} that can be read; repair them or remove the class"
            )
        return self.image_set(images, targets, rows)

    def _decode(self, name: str, folder: Path, paths: list[Path]) -> tuple[Tensor, Tensor]:
        """Pixels of ``paths``, ``(N, C, H, W)`` uint8, and the ``(M,)`` int64 rows that could be read."""
        size, shape = len(paths), (len(paths), *self.image_shape)

        def fill(content: Tensor) -> None:
            log.info(f"decoding {size} images of {folder}, once")
            unreadable = read_images(paths, content[:-size].view(shape))
            if self.on_error == "raise":
                refuse(unreadable, size, "--data.init_args.on_error=skip")
            content[-size:] = torch.tensor([path not in unreadable for path in paths])

        # Behind the pixels lies a byte for each image: whether it could be read.
        fingerprint = _fingerprint(paths, shape, self.on_error)
        num_bytes = torch.Size(shape).numel() + size
        content = cached_images(self.root / ".cache", f"{name}-{fingerprint}", (num_bytes,), fill)
        return content[:-size].view(shape), content[-size:].nonzero().flatten()


_warn = rank_zero_only(warn_skipped)


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _others(folder: Path) -> str:
    """What a folder without images holds, and the remedy."""
    others = [path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if not others:
        return "none; add some or remove the class"
    return (
        f"{len(others)} files of other kinds, such as {min(others)}; give them the suffix of their format, "
        f"one of {' '.join(sorted(SUFFIXES))}"
    )


def _fingerprint(paths: list[Path], shape: tuple[int, ...], on_error: OnError) -> str:
    """Names the content of a cache: the files with their sizes and times, and how they were read."""
    digest = hashlib.sha256(repr(("v3", shape, on_error)).encode())
    for path in paths:
        try:
            state = path.stat()
        except OSError:  # it vanished since it was found: who reads it says so
            digest.update(os.fsencode(path) + b"\0gone\n")
        else:
            digest.update(os.fsencode(path) + f"\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
