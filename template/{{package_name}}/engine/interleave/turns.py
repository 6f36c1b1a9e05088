"""Which of several data sets gives each batch of an epoch, and the loader of all their batches."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

from ..contracts import Example
from ..data.loaders import Resumable, TrainLoader
from ..data.sampler import Resuming
from ..errors import InputError

Until = Literal["shortest", "longest"] | int
TIE = 1 + 1e-9  # batches that are due at one time differ by rounding


class Turns(Resuming):
    """Says whose turn it is: the name of a source, its round, and the number of the batch in that round.

    The k-th batch of a source is due at ``(k + 1/2) / share``. The source that is due first gives the next
    batch, in a tie the one that is named first: equal shares go in turns, others are spread evenly. All
    epochs have the same order of turns, and each source goes on where it was in the last one, round after
    round. So everything follows from the epoch and the place in it.

    Args:
        lengths: Batches in a round of each source.
        shares: Share of each in the batches, in any unit.
        until: Ends an epoch: after the turn in which the first (``shortest``) or the last one (``longest``)
            has finished its round, or after so many batches.

    Attributes:
        counts: Batches of each source in an epoch.

    Raises:
        InputError: A source would have no batch in an epoch.
    """

    def __init__(self, lengths: Mapping[str, int], shares: Mapping[str, float], until: Until) -> None:
        self.lengths, self.names = dict(lengths), list(lengths)
        self._order = _order(self.lengths, shares, until)
        numbers = self._order.bincount(minlength=len(self.names)).tolist()
        self.counts = dict(zip(self.names, numbers, strict=True))
        if none := [name for name, count in self.counts.items() if not count]:
            raise InputError(
                f"expected batches of each source in an epoch, got none of {none[0]} in {len(self)}; raise "
                "its proportion, or until"
            )

    def __len__(self) -> int:
        """Number of batches of an epoch, also when some are skipped."""
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        first = self.take_first()
        before = self._order[:first].bincount(minlength=len(self.names)).tolist()
        done = [
            self.epoch * self.counts[name] + count for name, count in zip(self.names, before, strict=True)
        ]
        for number in self._order[first:].tolist():
            name = self.names[number]
            yield name, done[number] // self.lengths[name], done[number] % self.lengths[name]
            done[number] += 1


class SameTurns(Turns, SequentialSampler):
    """``Turns`` that begin again in each epoch; the type tells Lightning that nothing is shuffled."""

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: stay in the first epoch."""

    def resume(self, epoch: int, num_done: int) -> None:
        """Begin the next iteration at batch ``num_done``."""
        super().resume(0, num_done)


class Drawn(NamedTuple):
    """A batch on its way to the device."""

    source: str
    round: int
    batch: Example


class TurnsLoader(Resumable):
    """Takes each batch from the loader whose turn it is.

    Args:
        loaders: The loaders of the sources, by name.
        sampler: Says whose turn it is.
    """

    def __init__(self, loaders: Mapping[str, TrainLoader], sampler: Turns) -> None:
        self.loaders, self.sampler = loaders, sampler

    def __len__(self) -> int:
        """Number of batches of an epoch."""
        return len(self.sampler)

    def describe(self) -> str:
        """How many batches of each source an epoch has, and how many rounds these are."""
        lengths = self.sampler.lengths
        each = self.sampler.counts.items()
        return ", ".join(f"{name} {num} batches ({num / lengths[name]:.3g} rounds)" for name, num in each)

    def __iter__(self) -> Iterator[Drawn]:
        begun: dict[str, Iterator[Example]] = {}
        for name, number, place in self.sampler:
            if name not in begun or place == 0:
                self.loaders[name].sampler.resume(number, place)  # type: ignore[attr-defined] # EpochBatches
                begun[name] = iter(self.loaders[name])
            yield Drawn(name, number, next(begun[name]))


def _order(lengths: Mapping[str, int], shares: Mapping[str, float], until: Until) -> Tensor:
    """``(N,)`` int64: the number of the source of each batch."""
    if isinstance(until, int):
        last = (until + len(lengths)) / sum(shares.values())
    else:
        ends = [(length - 0.5) / shares[name] for name, length in lengths.items()]
        last = min(ends) if until == "shortest" else max(ends)
    due = [
        (torch.arange(int(last * shares[name]) + 2, dtype=torch.float64) + 0.5) / shares[name]
        for name in lengths
    ]
    times = torch.cat(due)
    sources = torch.arange(len(due)).repeat_interleave(torch.tensor([len(each) for each in due]))
    length = until if isinstance(until, int) else int((times <= last * TIE).sum())
    return sources[times.argsort(stable=True)[:length]]
