"""Mask files: their values, read as they are."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from ..errors import InputError
from ..images.cache import state_of
from ..images.finding import NUM_THREADS

R = TypeVar("R")
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
# Pillow's modes; others are colours.
OF_VALUES = ("1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "I;16L", "F")


class UnreadableError(InputError):
    """A mask that cannot be opened."""


def fingerprint(paths: Sequence[Path], *how: object) -> str:
    """A hash that names a cache: of the files with their states, and of how they were read."""
    digest = hashlib.sha256(repr(("masks-2", *how)).encode())
    for path in paths:
        digest.update(os.fsencode(path) + state_of(path))
    return digest.hexdigest()[:16]


def parallel(function: Callable[..., R], values: Sequence[object]) -> list[R]:
    """The results of a function for all values, in their order; several at a time."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(function, values))


def read_values(path: Path, in_colour: bool) -> np.ndarray:
    """``(H, W)`` int32: levels or positions in a palette; or colours, ``0xRRGGBB``.

    Raises:
        InputError: The file cannot be read, or it has colours where values are expected.
    """
    try:
        with Image.open(path) as file:
            is_wrong = not in_colour and file.mode not in OF_VALUES
            if in_colour or is_wrong:
                rgb = np.asarray(file.convert("RGB")).astype(np.int32)
                values = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
            else:
                values = np.asarray(file.getchannel(0) if file.mode in ("LA", "PA") else file)
                values = values.astype(np.int32)
    except Exception as error:  # a damaged file makes Pillow raise anything
        reason = str(error).replace(f" {str(path)!r}", "") or type(error).__name__
        said = f"expected an image, got {path}: {reason}; repair or remove the file"
        raise UnreadableError(said) from error
    if is_wrong and (values >> 16 != values & 255).any():
        raise InputError(f"expected values in {path}, got colours; give classes as colours")
    return values & 255 if is_wrong else values  # grey levels that were saved as colours


def values_of(path: Path, in_colour: bool) -> set[int]:
    """The different values of a mask; empty if it cannot be opened.

    Raises:
        InputError: Its format is lossy, or it has colours where values are expected.
    """
    if path.suffix.lower() in LOSSY:
        raise InputError(f"expected a mask that keeps its values, got {path}; save it as PNG")
    with contextlib.suppress(UnreadableError):  # reported when it is decoded
        return set(np.unique(read_values(path, in_colour)).tolist())
    return set()


def is_coloured(path: Path) -> bool:
    """Whether a mask has neither grey levels nor a palette; false if it cannot be opened."""
    try:
        with Image.open(path) as file:
            return file.mode not in OF_VALUES
    except Exception:  # reported when it is decoded
        return False


def palette_of(path: Path) -> dict[int, tuple[int, ...]] | None:
    """Red, green and blue of each value of a mask with a palette; ``None`` without one."""
    colours = None
    with contextlib.suppress(Exception), Image.open(path) as file:  # reported when it is decoded
        colours = file.getpalette("RGB") if file.mode == "P" else None
    if colours is None:
        return None
    colours += [0] * (768 - len(colours))
    return {value: tuple(colours[3 * value : 3 * value + 3]) for value in range(256)}
