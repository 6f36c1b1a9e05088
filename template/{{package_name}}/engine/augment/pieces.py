"""A few images at a time, each piece by one thread of the processor."""

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

VALUES = 2**20  # of a piece: what lies between two operations stays in a processor's cache


def in_pieces(
    change: Callable[..., Tensor],
    images: Tensor,
    *batches: Tensor,
    size: tuple[int, int] | None = None,
    dtype: torch.dtype | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """``change(images, *batches)``; on a CPU by all threads, a few images each.

    Threads that share a single operation wait for each other at its end, which on a busy machine costs more
    than the operation; intermediate results that leave the cache cost time, too.

    Args:
        change: Treats each image by itself, and needs no gradient.
        images: ``(B, C, H, W)``.
        batches: ``(B, ...)``, whatever else is divided likewise.
        size: Height and width of the result, where they are not those of ``images``.
        dtype: Its type, where it is not that of ``images``.
        memory_format: Its layout.
    """
    # A compiler neither sees what other threads do, nor is to fix the size of a batch.
    is_whole = torch.compiler.is_compiling() or images.device.type != "cpu"
    if is_whole or (num_pieces := min(-(-images.numel() // VALUES), len(images))) <= 1:
        return change(images, *batches).contiguous(memory_format=memory_format)
    shape = (*images.shape[:2], *(size or images.shape[2:]))
    with torch.inference_mode(False):  # else no other thread could write to it
        result = torch.empty(shape, dtype=dtype or images.dtype, memory_format=memory_format)
        parts = [batch.tensor_split(num_pieces) for batch in (result, images, *batches)]

    def fill(place: Tensor, *piece: Tensor) -> None:
        place.copy_(change(*piece))

    list(_pool(os.getpid(), torch.get_num_threads()).map(fill, *parts))  # an error is raised here
    return result


@functools.cache
def _pool(process: int, num_threads: int) -> ThreadPoolExecutor:
    """Threads that compute by themselves; one pool per ``process``, since threads do not survive a fork."""
    started = threading.Barrier(num_threads + 1)

    def begin() -> None:
        torch.set_num_threads(1)  # of this thread, and of those to come
        torch.get_num_threads()  # the first use in a thread takes what is set for all; later it keeps to that
        started.wait()

    pool = ThreadPoolExecutor(num_threads, "augment")
    for _ in range(num_threads):
        pool.submit(begin)
    started.wait()
    torch.set_num_threads(num_threads)  # of those to come
    return pool
