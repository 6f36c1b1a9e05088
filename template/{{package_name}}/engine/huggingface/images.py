"""Images of a set, decoded once."""

import hashlib
import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..images.cache import cached_images
from ..images.finding import NUM_THREADS
from ..images.image_files import read_image

ROWS = 256  # that are read at a time
log = logging.getLogger(__name__)


def decode(dataset: Any, column: str, shape: tuple[int, int, int], folder: Path) -> Tensor:
    """The images of a column, from the cache in ``folder``.

    Args:
        dataset: A ``datasets.Dataset``.
        column: Its name.
        shape: ``(C, H, W)``.
        folder: Folder of the cache, which belongs to the set if 64 images at equal distances are the same.

    Returns:
        ``(N, C, H, W)`` uint8.

    Raises:
        InputError: The column holds no images, or one cannot be read.
    """
    import datasets

    if not isinstance(dataset.features.get(column), datasets.Image):
        raise InputError(f"column {column!r}: expected images, got {dataset.features.get(column)}")
    files = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def fill(pixels: Tensor) -> None:
        log.info(f"decoding {len(files):,} images, once")
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            images = pool.map(lambda item: _read(item[0], item[1], column, shape), _files(files, column))
            for row, image in enumerate(images):
                pixels[row] = image

    name = f"{column}-{'x'.join(map(str, shape))}-{_content(files, column)}"
    return cached_images(folder, name, (len(files), *shape), fill)


def _files(files: Any, column: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    for start in range(0, len(files), ROWS):
        yield from enumerate(files[start : start + ROWS][column], start)


def _read(row: int, file: dict[str, Any] | None, column: str, shape: tuple[int, int, int]) -> Tensor:
    if file is None:
        raise InputError(f"column {column!r}: expected an image in each row, got none in row {row}")
    try:
        return read_image(Path(file["path"]) if file["bytes"] is None else io.BytesIO(file["bytes"]), shape)
    except InputError as error:
        raise InputError(f"column {column!r}, row {row}: {error}") from error


def _content(files: Any, column: str) -> str:
    digest = hashlib.sha256(str(len(files)).encode())
    for row in torch.linspace(0, len(files) - 1, min(len(files), 64)).long().tolist():
        file = files[row][column] or {}
        digest.update(file.get("bytes") or str(file.get("path")).encode())
    return digest.hexdigest()[:16]
