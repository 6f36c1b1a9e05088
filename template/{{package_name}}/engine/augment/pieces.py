"""A few images at a time, each piece by one thread of the processor."""

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

PIECE = 4  # images: what lies between two operations stays in a processor's cache


def in_pieces(change: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """``change(*batches)``, ``(B, ...)``, of tensors ``(B, ...)``; on a CPU by all threads, a piece each.

    Threads that share a single operation wait for each other at its end, which on a busy machine costs more
    than the operation; intermediate results that leave the cache cost time, too.
    """
    if batches[0].device.type != "cpu" or len(batches[0]) <= PIECE:
        return change(*batches)
    parts = [batch.split(PIECE) for batch in batches]
    return torch.cat(list(_pool(os.getpid(), torch.get_num_threads()).map(change, *parts)))


@functools.cache
def _pool(process: int, num_threads: int) -> ThreadPoolExecutor:
    """Threads that compute by themselves; one pool per ``process``, since threads do not survive a fork."""
    started = threading.Barrier(num_threads + 1)

    def begin() -> None:
        torch.set_num_threads(1)  # of this thread, and of those to come
        started.wait()

    pool = ThreadPoolExecutor(num_threads, "augment")
    for _ in range(num_threads):
        pool.submit(begin)
    started.wait()
    torch.set_num_threads(num_threads)  # of those to come
    return pool
