"""Loaders of whole batches."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from ..contracts import Example
from ..errors import InputError
from .examples import ExampleSet
from .sampler import EpochBatches
from .shared_memory import check_shared_memory


class Resumable:
    """Marks a loader as resumable for Lightning: the position is the Trainer's own progress."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The number of batches, for a check: seed, epoch and batch, kept elsewhere, give the position."""
        return {"batches": len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Refuse a position in an epoch that had another number of batches."""
        if state["batches"] != len(self):
            raise InputError(
                f"expected {state['batches']} batches an epoch as in the interrupted run, got {len(self)}; "
                "resume with its data, batch size and number of processes"
            )


class TrainLoader(DataLoader, Resumable):
    """A loader of training examples, whose sampler knows the position."""


def make_loader(
    cls: type[DataLoader],
    dataset: ExampleSet[Any],
    sampler: EpochBatches,
    *,
    num_workers: int,
    pin_memory: bool,
    seed: int,
) -> Any:
    """A loader of the batches of ``dataset`` that ``sampler`` draws.

    Raises:
        InputError: The workers' batches do not fit into shared memory.
    """
    if num_workers:
        lengths = torch.zeros(len(dataset)) if dataset.lengths is None else dataset.lengths
        longest = lengths.argsort(descending=True, stable=True)[: sampler.batch_size]
        num_bytes = sum(tensor.nbytes for tensor in dataset[longest.tolist()].tensors.values())
        check_shared_memory(2 * num_workers * num_bytes)  # each worker prefetches two
    return cls(
        dataset=dataset,
        sampler=sampler,
        batch_size=None,
        collate_fn=_as_it_is,  # type: ignore[arg-type] # a batch comes whole
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(seed),  # else each epoch draws from torch's global one
    )


def move_if_small(dataset: ExampleSet[Any], device: torch.device) -> ExampleSet[Any]:
    """The set, in GPU memory if it takes at most a quarter of what is free there."""
    if device.type != "cuda" or dataset.nbytes > torch.cuda.mem_get_info(device)[0] // 4:
        return dataset
    return dataset.to(device)


def _as_it_is(batch: Example) -> Example:
    return batch
