"""A cache of decoded images: a file of raw pixels, written once and then mapped into memory."""

import contextlib
import glob
import json
import logging
import mmap
import os
import re
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..runs.files import replacing, write_text

log = logging.getLogger(__name__)
VERSION = b"pixels-2"
BLOCK, NUM_BLOCKS = 1 << 20, 256  # the checksum is of at most 256 MiB, which takes about 0.1 s
TRAILER_SIZE = len(VERSION) + 4
NUM_SIZES = 2  # how many sizes of the same images are kept
SIZED = re.compile(r"(.+)-\d+(?:x\d+)+-\w+")
NO_RESERVE = 0x4000  # Linux's MAP_NORESERVE, which Python names from 3.13 on
_held: dict[Path, int] = {}  # descriptors of files that this process uses, locked until it ends


def state_of(path: Path) -> bytes:
    """Size and times of a file as bytes, which change whenever the file does."""
    try:
        state = path.stat()
    except OSError:  # it vanished since it was found; reading it will say so
        return b"\0gone\n"
    return f"\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}\n".encode()


def cached_images(folder: Path, name: str, shape: tuple[int, ...], fill: Callable[[Tensor], None]) -> Tensor:
    """Images from ``folder``, made by ``fill`` the first time.

    The file is mapped, not read: the operating system keeps it in memory if it fits, and pages it if not.
    It is written atomically. One of the wrong size, version or checksum is made anew; beyond 256 MiB, the
    checksum covers evenly spaced blocks. If the folder cannot be written to, or the disk is full, the
    images are made in memory, each time.

    Args:
        folder: Folder of the cache; made if absent.
        name: File name without suffix: before the last ``-``, the content and its size; after it, a
            fingerprint. Files that differ in the fingerprint alone are removed. Of names such as
            ``train-64x64-0a1b``, two sizes are kept: this one and the one used last, and any in use.
        shape: Shape of all images, such as ``(N, C, H, W)``.
        fill: Writes all pixels into a uint8 tensor of ``shape``.

    Returns:
        ``shape`` uint8; changes stay in this process and do not reach the file.
    """
    path, size = folder / f"{name}.bin", torch.Size(shape).numel()
    if (pixels := _read(path, size)) is not None:
        _hold(path)
        return pixels.view(shape)
    if path.is_file():
        log.warning(f"{path} is damaged or of another version: rebuilding it")
    try:
        _write(path, shape, fill)
    except _NoRoomError as error:
        log.warning(f"no cache in {folder} ({error}): images are decoded again at each start")
        images = torch.empty(shape, dtype=torch.uint8)
        fill(images)
        return images
    _hold(path)
    _remove_others(path)
    _remove_sizes(path)
    return _map(path, size).view(shape)


def _remove_others(path: Path) -> None:
    """Remove files of the same content and size with another fingerprint."""
    kind = path.stem.rpartition("-")[0]
    for stale in path.parent.glob(f"{glob.escape(kind)}-*{path.suffix}"):
        if stale != path and stale.stem.rpartition("-")[0] == kind:
            stale.unlink(missing_ok=True)


def _remove_sizes(path: Path) -> None:
    """Remove the same images in other sizes, except the one used last and any in use."""
    if (found := SIZED.fullmatch(path.stem)) is None:
        return
    with contextlib.suppress(OSError):  # another process may remove them, too
        others = [
            other
            for other in path.parent.glob(f"{glob.escape(found[1])}-*{path.suffix}")
            if other != path and (of := SIZED.fullmatch(other.stem)) and of[1] == found[1]
        ]
        others.sort(key=lambda other: other.stat().st_atime_ns, reverse=True)
        for stale in others[NUM_SIZES - 1 :]:
            if not _is_in_use(stale):
                stale.unlink()
                log.info(f"removed {stale}, the least recently used; {NUM_SIZES} sizes stay")


def _hold(path: Path) -> None:
    """Mark a file as used now, and as in use until this process ends."""
    with contextlib.suppress(OSError, ImportError):  # Windows itself does not delete an open file
        import fcntl

        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))  # a disk may be mounted with noatime
        if path in _held:  # another file may have the name by now
            os.close(_held.pop(path))
        _held[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(_held[path], fcntl.LOCK_SH | fcntl.LOCK_NB)


def _is_in_use(path: Path) -> bool:
    """Whether a running process holds the file; also true if that cannot be told."""
    try:
        import fcntl

        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, ImportError):
        return True
    return False


def stored(folder: Path | None, name: str, make: Callable[[], Any]) -> Any:
    """A small plain value from ``<folder>/<name>.json``, made by ``make`` the first time.

    A file that cannot be read is made anew; if none can be written, or there is no ``folder``, the value is
    made each time. As for images, the part of ``name`` after its last ``-`` is a fingerprint.
    """
    if folder is None or not folder.is_dir():
        return make()
    path = folder / f"{name}.json"
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    value = make()
    with contextlib.suppress(OSError):
        write_text(path, json.dumps(value) + "\n")
        _remove_others(path)
    return value


class _NoRoomError(Exception):
    """The folder cannot be written to, or the disk is full."""


def _write(path: Path, shape: tuple[int, ...], fill: Callable[[Tensor], None]) -> None:
    size = torch.Size(shape).numel()
    try:
        with contextlib.ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = stack.enter_context(replacing(path, on_disk=True))
                _allocate(partial, size + TRAILER_SIZE)
            except OSError as error:  # one that ``fill`` raises is about an image and is not caught
                raise _NoRoomError(error) from error
            pixels = torch.from_file(str(partial), shared=True, size=size, dtype=torch.uint8)
            fill(pixels.view(shape))
            with partial.open("r+b") as file:
                file.seek(size)
                file.write(_trailer(pixels))
    finally:
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # only if it is empty


def _read(path: Path, size: int) -> Tensor | None:
    """The ``(size,)`` bytes of a file; ``None`` if it is missing, of another size or damaged."""
    if not (path.is_file() and path.stat().st_size == size + TRAILER_SIZE):
        return None
    with path.open("rb") as file:
        file.seek(size)
        trailer = file.read()
    pixels = _map(path, size)
    return pixels if trailer == _trailer(pixels) else None


def _map(path: Path, size: int) -> Tensor:
    """The first ``size`` bytes of a file, mapped so that changes stay in this process.

    Linux refuses to map a file larger than memory, since each page might be changed and kept, unless it is
    told to reserve none; ``torch.from_file`` does not tell it, and fails.
    """
    with path.open("rb") as file:
        if sys.platform == "linux":
            mapped = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE | NO_RESERVE)
        else:
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    return torch.frombuffer(mapped, dtype=torch.uint8)


def _trailer(pixels: Tensor) -> bytes:
    checksum, content = 0, memoryview(pixels.numpy().data)
    num_blocks = -(-len(content) // BLOCK)
    for block in range(0, num_blocks, -(-num_blocks // NUM_BLOCKS)):
        checksum = zlib.crc32(content[block * BLOCK : (block + 1) * BLOCK], checksum)
    return VERSION + checksum.to_bytes(4, "big")


def _allocate(path: Path, size: int) -> None:
    """Make a file with ``size`` bytes allocated on the disk: without room, writing a mapped page is fatal."""
    with path.open("wb") as file:
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
