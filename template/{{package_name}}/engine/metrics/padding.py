"""Distributed samplers repeat examples to fill up batches; each example is counted once."""

from typing import Any

from torch.utils.data import DataLoader, DistributedSampler

from ..errors import InputError


def num_unrepeated(loader: Any, batch_idx: int, size: int, number: int = 0) -> int:
    """How many examples at the front of a batch are not repeated ones.

    torch's ``DistributedSampler``, which Lightning puts into loaders that know no ranks, begins again when
    the number of processes does not divide that of the examples. The datamodules here never repeat.

    Args:
        loader: The ``DataLoader`` of the batch, in stored order; or a list of several.
        batch_idx: Number of the batch on this process.
        size: Examples in the batch.
        number: Index of the loader, in a list.

    Raises:
        InputError: There are fewer examples than processes: one would get none, and the others would wait.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> data = range(5)
        >>> sampler = DistributedSampler(data, num_replicas=2, rank=1, shuffle=False)
        >>> list(sampler)
        [1, 3, 0]
        >>> loader = DataLoader(data, batch_size=2, sampler=sampler)
        >>> num_unrepeated(loader, 0, 2), num_unrepeated(loader, 1, 1)
        (2, 0)
    """
    loader = loader[number] if isinstance(loader, list) else loader
    if not isinstance(loader, DataLoader) or loader.batch_size is None:
        return size
    sampler = loader.sampler
    if type(sampler) is not DistributedSampler or sampler.drop_last:
        return size
    if (num := len(sampler.dataset)) < sampler.num_replicas:  # type: ignore[arg-type]
        raise InputError(
            f"expected an example for each of {sampler.num_replicas} processes, got a set of {num}; "
            "use fewer --trainer.devices, or more data"
        )
    own = -(-(len(sampler.dataset) - sampler.rank) // sampler.num_replicas)  # type: ignore[arg-type]
    return min(max(own - batch_idx * loader.batch_size, 0), size)
