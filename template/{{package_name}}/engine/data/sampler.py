"""Which examples make up each batch of an epoch, on each process."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DistributedSampler, SequentialSampler

from ..errors import InputError

WINDOW = 50  # global batches that are sorted together by length: more means less padding, but less shuffling


class Resuming:
    """Knows the epoch, and the batch at which the next iteration begins."""

    epoch = 0
    _skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this."""
        if epoch != self.epoch:
            self.epoch, self._skip = epoch, 0

    def resume(self, epoch: int, num_done: int) -> None:
        """Begin the next iteration at batch ``num_done`` of ``epoch``."""
        self.epoch, self._skip = epoch, num_done

    def take_first(self) -> int:
        """The batch at which this iteration begins; the next iteration begins at 0."""
        first, self._skip = self._skip, 0
        return first


class EpochBatches(Resuming, DistributedSampler):
    """Yields whole batches of positions in an order that depends only on ``(seed, epoch)``.

    All processes draw the same order and take turns inside each global batch, so that in each step N
    processes see what one process with N times the batch size would. No example is repeated: if the last
    global batch is smaller than the number of processes, it joins the one before it. Subclassing
    ``DistributedSampler`` tells Lightning that the work is already divided.

    Args:
        size: Number of examples.
        batch_size: Number of examples in a batch, per process.
        seed: Seed of all epochs' orders.
        shuffle: Draw a new order each epoch; else the stored order.
        drop_last: Leave out the last global batch if it is smaller than the others.
        rank: Number of this process, from 0.
        world_size: Number of processes.
        device: Device of the examples: the epoch's order is copied there once, and a batch is a slice of
            it, ``(B,)`` int64. ``None`` yields lists, as worker processes need.
        lengths: ``(size,)`` lengths of the examples: a shuffled order puts those of similar length into the
            same batch, to pad little.

    Raises:
        InputError: There are too few examples for one batch.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | None = None,
        lengths: Tensor | None = None,
    ) -> None:
        least = batch_size * world_size if drop_last else world_size
        if size < least:
            remedy = "lower batch_size" if size >= world_size else "train with fewer --trainer.devices"
            raise InputError(f"expected at least {least} examples for one batch, got {size}; {remedy}")
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.drop_last, self.rank, self.world_size, self.device = drop_last, rank, world_size, device
        self.lengths = None if lengths is None else lengths.cpu()

    def __len__(self) -> int:
        """Number of batches in an epoch, including those that a resume skips."""
        whole, rest = divmod(self.size, self.batch_size * self.world_size)
        keeps_rest = rest >= self.world_size and not self.drop_last
        return max(whole + keeps_rest, 1)

    def __iter__(self) -> Iterator[Any]:
        first = self.take_first()
        order = torch.arange(self.size)
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.size, generator=generator)
            if self.lengths is not None:
                order = self._grouped(order, self.lengths, generator)
        order = order.to(self.device)
        step = self.batch_size * self.world_size
        last = len(self) - 1
        for number in range(first, len(self)):
            joined = number == last and not self.drop_last
            batch = order[number * step :] if joined else order[number * step : (number + 1) * step]
            own = batch[self.rank :: self.world_size]
            yield own.tolist() if self.device is None else own

    def _grouped(self, order: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """``order`` with similar lengths together in all batches but the last, which has any lengths."""
        step, num_whole = self.batch_size * self.world_size, len(self) - 1
        whole, rest = order.split([num_whole * step, self.size - num_whole * step])
        by_length = lengths[whole].argsort(stable=True)
        by_window = by_length[(by_length // (WINDOW * step)).argsort(stable=True)]
        batches = whole[by_window].view(num_whole, step)
        return torch.cat([batches[torch.randperm(num_whole, generator=generator)].flatten(), rest])


class OrderedBatches(EpochBatches, SequentialSampler):
    """``EpochBatches`` in stored order; the type tells Lightning that nothing is shuffled."""
