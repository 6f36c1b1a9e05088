"""A set that is read row by row, in batches whose order a resumed run reproduces."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from ..contracts import Example
from ..errors import InputError


class Stream:
    """Batches of a ``datasets.IterableDataset``; each process takes every n-th row of a global batch.

    The order depends on ``(seed, epoch)`` alone. To go on inside an epoch, the rows that were trained on are
    read again and thrown away. That is exact also for rows in the buffer of a shuffled stream, which the
    stream's own state would lose.

    Args:
        rows: The set, already shuffled if it should be.
        make: Makes an example of some rows, given as a dictionary of lists.
        batch_size: Rows of a batch, per process.
        rank: Number of this process.
        world_size: Number of processes.
    """

    def __init__(
        self,
        rows: Any,
        make: Callable[[dict[str, list[Any]]], Example],
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.rows, self.make, self.batch_size = rows, make, batch_size
        self.rank, self.world_size = rank, world_size
        self._epoch, self._skip = 0, 0

    def resume(self, epoch: int, num_done: int) -> None:
        """Begin the next iteration at batch ``num_done`` of ``epoch``."""
        self._epoch, self._skip = epoch, num_done

    def state_dict(self) -> dict[str, Any]:
        """Empty: seed, epoch and batch are enough. The method tells Lightning that it can resume."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing, see ``state_dict``."""

    def __iter__(self) -> Iterator[Example]:
        epoch, skip, step = self._epoch, self._skip, self.batch_size * self.world_size
        self._epoch, self._skip = epoch + 1, 0
        self.rows.set_epoch(epoch)
        # Not by ``skip``: in datasets 4.8, that of a shuffled set leaves out fewer rows than it should.
        for number, batch in enumerate(islice(self.rows.iter(batch_size=step), skip, None)):
            size = len(next(iter(batch.values())))
            if size < self.world_size and number + skip:  # the last one: each process needs a row
                return
            own = {name: values[self.rank :: self.world_size] for name, values in batch.items()}
            if not size or not next(iter(own.values())):
                raise InputError(f"expected a row for each of {self.world_size} processes, got {size}")
            yield self.make(own)
