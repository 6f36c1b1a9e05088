"""Decode once: a file of raw pixels that is mapped into memory afterwards."""

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
NUM_SIZES = 2  # in which the same images stay
SIZED = re.compile(r"(.+)-\d+(?:x\d+)+-\w+")
NO_RESERVE = 0x4000  # Linux's MAP_NORESERVE, which Python names from 3.13 on
_held: dict[Path, int] = {}  # descriptors of what this process uses, locked until it ends


def state_of(path: Path) -> bytes:
    """Changes whenever a file does."""
    try:
        state = path.stat()
    except OSError:  # it vanished since it was found: who reads it says so
        return b"\0gone\n"
    return f"\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ctime_ns}\n".encode()


def cached_images(folder: Path, name: str, shape: tuple[int, ...], fill: Callable[[Tensor], None]) -> Tensor:
    """Images from ``folder``, made by ``fill`` the first time.

    The file is mapped, not read: the operating system keeps it in memory where it fits, and pages it
    where not. It appears under its name only when it is whole and on the disk. One of the wrong size,
    version or checksum is made anew; of more than 256 MiB the checksum covers blocks at equal distances. In
    a folder that cannot be written, or on a full disk, the images are made in memory, each time.

    Args:
        folder: Where the cache lies; made if absent.
        name: Names the content: part before the last ``-`` says what and of which size, the rest is a
            fingerprint. Files of the same part with another fingerprint are removed. Where it is called as
            ``train-64x64-0a1b``, two sizes stay: this one, the one used last, and any that a process uses.
        shape: ``(N, C, H, W)``.
        fill: Writes all pixels into a uint8 tensor of ``shape``.

    Returns:
        ``shape`` uint8; private to this process, changes do not reach the file.
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
    """Remove what another fingerprint named."""
    kind = path.stem.rpartition("-")[0]
    for stale in path.parent.glob(f"{glob.escape(kind)}-*{path.suffix}"):
        if stale != path and stale.stem.rpartition("-")[0] == kind:
            stale.unlink(missing_ok=True)


def _remove_sizes(path: Path) -> None:
    """Remove the same images in other sizes, but for those that were used last, or are in use."""
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
    """Note that a file is used, now and until this process ends."""
    with contextlib.suppress(OSError, ImportError):  # Windows keeps what is open by itself
        import fcntl

        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))  # disks may not note it themselves
        if path in _held:  # another file may bear the name by now
            os.close(_held.pop(path))
        _held[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(_held[path], fcntl.LOCK_SH | fcntl.LOCK_NB)


def _is_in_use(path: Path) -> bool:
    """Whether a living process holds it, or nobody can say so."""
    try:
        import fcntl

        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, ImportError):
        return True
    return False


def stored(folder: Path | None, name: str, make: Callable[[], Any]) -> Any:
    """A small plain value from ``<folder>/<name>.json``, made by ``make`` the first time.

    A file that cannot be read is made anew; where none can be written, or there is no ``folder``, the value
    is made each time. As for images, the part of ``name`` behind its last ``-`` is a fingerprint.
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
    """The folder cannot be written, or the disk is full."""


def _write(path: Path, shape: tuple[int, ...], fill: Callable[[Tensor], None]) -> None:
    size = torch.Size(shape).numel()
    try:
        with contextlib.ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = stack.enter_context(replacing(path, on_disk=True))
                _allocate(partial, size + TRAILER_SIZE)
            except OSError as error:  # those of ``fill`` are the images' and pass
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
    """The ``(size,)`` bytes of a whole file, ``None`` if there is no such file."""
    if not (path.is_file() and path.stat().st_size == size + TRAILER_SIZE):
        return None
    with path.open("rb") as file:
        file.seek(size)
        trailer = file.read()
    pixels = _map(path, size)
    return pixels if trailer == _trailer(pixels) else None


def _map(path: Path, size: int) -> Tensor:
    """The first ``size`` bytes of a file, as memory whose changes stay with this process.

    Linux would refuse a file larger than all memory, since each page might be changed and have to be kept
    (``torch.from_file`` fails then), unless it is told to reserve none.
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
    """Make a file of ``size`` bytes that are on the disk: a mapped page that is not kills the process."""
    with path.open("wb") as file:
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
