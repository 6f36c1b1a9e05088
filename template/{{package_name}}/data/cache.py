"""Decode once: a file of raw pixels that is mapped into memory afterwards."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)


def cached_images(folder: Path, name: str, shape: tuple[int, ...], fill: Callable[[Tensor], None]) -> Tensor:
    """Images from ``folder``, made by ``fill`` the first time.

    The file is mapped, not read: the operating system keeps it in memory where it fits, and pages it
    where not. It appears under its name only when it is whole, and one of the wrong size is made anew. In
    a folder that cannot be written the images are made in memory, each time.

    Args:
        folder: Where the cache lies; made if absent.
        name: Names the content: part before the last ``-`` says what, the rest is a fingerprint. Files
            of the same part with another fingerprint are removed.
        shape: ``(N, C, H, W)``.
        fill: Writes all pixels into a uint8 tensor of ``shape``.

    Returns:
        ``shape`` uint8; private to this process, changes do not reach the file.
    """
    path, size = folder / f"{name}.bin", torch.Size(shape).numel()
    if not (path.is_file() and path.stat().st_size == size):
        partial = folder / f"{name}.{os.getpid()}.partial"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial.touch()
        except OSError as error:
            log.warning(f"no cache in {folder} ({error}): images are decoded again at each start")
            images = torch.empty(shape, dtype=torch.uint8)
            fill(images)
            return images
        try:
            fill(torch.from_file(str(partial), shared=True, size=size, dtype=torch.uint8).view(shape))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it is empty
        for stale in folder.glob(f"{name.rpartition('-')[0]}-*.bin"):
            if stale != path:
                stale.unlink(missing_ok=True)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(shape)
