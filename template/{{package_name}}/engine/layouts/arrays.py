"""Labelled images as arrays in one ``.npz`` file."""

import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..data.split import OF_IMAGES
from ..errors import InputError
from ..images.cache import cached_images, stored
from ..images.decoding import WHOLE, Decoded, Decoding, Listing
from .base import Layout

IMAGES = {"images", "image", "x", "imgs", "pixels", "data"}
TARGETS = {"targets", "target", "labels", "label", "y"}
NAMES = ("class_names", "classes", "label_names")
CHUNK = 512  # images that are scaled at a time
LARGEST = {"u1": 255.0, "u2": 65535.0, "b1": 1.0}
log = logging.getLogger(__name__)


class Arrays(Layout):
    """Arrays of images and targets, also of several splits: ``images, targets`` or ``x_train, y_train, ...``.

    Images are ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)`` with 1 or 3 channels; targets ``(N,)`` or
    ``(N, 1)`` class indices or names, or ``(N, K)`` of 0 and 1. An array ``class_names`` names them.

    Raises:
        InputError: The file cannot be read, an array is missing, or targets are of another kind.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._images, targets = path, dict[str, str](), dict[str, np.ndarray]()
        try:
            with np.load(path) as file:
                names = list(file.files)
                for name in names:
                    split, role = _meaning(name)
                    if role == "images":
                        self._images[split] = name
                    elif role == "targets":
                        targets[split] = file[name]
                named = [file[name] for name in NAMES if name in names]
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"expected arrays, got {path}: {error}; repair the file") from error
        self.splits = [name for name in (*OF_IMAGES, WHOLE) if name in self._images]
        if not self.splits or set(targets) != set(self.splits) or {WHOLE, "train"}.isdisjoint(self.splits):
            raise InputError(
                f"expected arrays 'images' and 'targets' in {path}, or 'train_images' and so on, got {names}"
            )
        self.class_names, self._targets = _read_targets(targets, path)
        self.is_multilabel = next(iter(self._targets.values())).ndim == 2
        if named and len(named[0]) >= len(self.class_names):
            self.class_names = [str(name) for name in named[0]]

    def read(self, split: str) -> "ArrayListing":
        return ArrayListing(
            name=split,
            where=self.path,
            targets=self._targets[split],
            paths=[self.path],
            array=self._images[split],
        )


@dataclass(frozen=True, kw_only=True)
class ArrayListing(Listing):
    """Labelled images in an array.

    Attributes:
        array: Its name in the file.
    """

    array: str

    def decode(self, decoding: Decoding) -> Decoded:
        shape = (len(self.targets), *decoding.shape)

        def fill(pixels: Tensor) -> None:
            with np.load(self.where) as file:
                array = _channels_first(file[self.array], self.where, self.array)
            if len(array) != len(pixels):
                counts = f"{len(array)} images and {len(pixels)} targets"
                raise InputError(f"expected an image for each target, got {counts} in {self.where}")
            low, high = decoding.levels or _range_of(array, self.array)
            for start in range(0, len(array), CHUNK):
                chunk = torch.from_numpy(array[start : start + CHUNK].astype(np.float32))
                shares = ((chunk - low) / max(high - low, 1e-12)).clamp(0, 1)
                pixels[start : start + CHUNK] = _fit(shares, decoding.shape, squeeze=decoding.squeeze)

        name = f"{self.name}-{shape[2]}x{shape[3]}-{self.fingerprint(decoding)}"
        images, size = cached_images(decoding.cache, name, shape, fill), len(self.targets)
        return Decoded(images, torch.arange(size), self._aspect(decoding) if decoding.squeeze else None)

    def _aspect(self, decoding: Decoding) -> Tensor:
        """``(N,)`` float32, all equal; cached, since it takes reading the whole array."""

        def measure() -> float:
            with np.load(self.where) as file:
                height, width = _channels_first(file[self.array], self.where, self.array).shape[2:]
            return width / height

        name = f"aspect-{self.name}-{self.fingerprint(decoding)}"
        return torch.full((len(self.targets),), stored(decoding.cache, name, measure))


def _meaning(name: str) -> tuple[str, str]:
    """The split and the role that the words of an array's name stand for."""
    words = re.split(r"[^a-z]+", name.lower())
    split = next((split for split, spelt in OF_IMAGES.items() if set(words) & set(spelt)), WHOLE)
    if set(words) & TARGETS:
        return split, "targets"
    return split, "images" if set(words) & IMAGES else ""


def _read_targets(arrays: dict[str, np.ndarray], path: Path) -> tuple[list[str], dict[str, Tensor]]:
    flat = {
        name: array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        for name, array in arrays.items()
    }
    whole = np.concatenate(list(flat.values()))
    if whole.ndim == 2 and np.isin(whole, (0, 1)).all():
        targets = {name: torch.from_numpy(array.astype(np.float32)) for name, array in flat.items()}
        return [str(number) for number in range(whole.shape[1])], targets
    if whole.ndim == 1 and whole.dtype.kind in "US":
        names, numbers = np.unique(whole, return_inverse=True)
    elif whole.ndim == 1 and whole.dtype.kind in "iub" and whole.min() >= 0:
        names, numbers = np.arange(int(whole.max()) + 1), whole
    else:
        raise InputError(
            f"expected targets (N,) of class indices or names, or (N, K) of 0 and 1, got {whole.dtype} "
            f"{whole.shape} in {path}"
        )
    pieces = torch.from_numpy(numbers.astype(np.int64)).split([len(array) for array in flat.values()])
    return [str(name) for name in names], dict(zip(flat, pieces, strict=True))


def _channels_first(array: np.ndarray, path: Path, name: str) -> np.ndarray:
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.transpose(0, 3, 1, 2)
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    raise InputError(
        f"expected images (N, H, W), (N, H, W, C) or (N, C, H, W) of 1 or 3 channels, got {array.shape} in "
        f"{name!r} of {path}"
    )


def _range_of(array: np.ndarray, name: str) -> tuple[float, float]:
    """The levels of black and white: those of the type, ``[0, 1]`` for floats; else measured, and logged."""
    kind = array.dtype.str[1:]
    if kind in LARGEST:
        return 0.0, LARGEST[kind]
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return 0.0, 255.0
    if not np.isfinite(high - low):
        raise InputError(f"expected finite levels in {name!r}, got [{low:g}, {high:g}]")
    log.warning(
        f"{name!r} has levels of unknown range, scaled from [{low:g}, {high:g}]; give "
        "--data.init_args.levels='[LOW, HIGH]' for another"
    )
    return low, high


def _fit(shares: Tensor, shape: tuple[int, int, int], *, squeeze: bool = False) -> Tensor:
    """``(B, C, H, W)`` uint8 of ``shape``, scaled to cover it and cropped at the centre, or squeezed."""
    channels, height, width = shape
    if squeeze:
        shares = functional.interpolate(shares, (height, width), mode="bilinear", antialias=True)
    scale = max(height / shares.shape[2], width / shares.shape[3])
    if shares.shape[2:] != (height, width):
        size = [
            max(round(side * scale), least) for side, least in zip(shares.shape[2:], shape[1:], strict=True)
        ]
        shares = functional.interpolate(shares, size, mode="bilinear", antialias=True)
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        shares = shares[:, :, top : top + height, left : left + width]
    return (shares * 255).round().clamp(0, 255).byte().expand(-1, channels, -1, -1)
