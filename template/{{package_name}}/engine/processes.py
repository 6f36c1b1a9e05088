"""Communication between the processes of a run."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def are_several() -> bool:
    """Whether this process is one of a distributed run."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def gather_objects(mine: Any) -> list[Any]:
    """The objects of all processes in the order of their ranks; ``[mine]`` if there is one process."""
    if not are_several():
        return [mine]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    return gathered


def share_buffers(module: nn.Module) -> None:
    """Copy the buffers of the first process, which a checkpoint holds, to all others, in place.

    Each process has its own statistics of batch normalisation; only DDP shares them itself.
    """
    for buffer in module.buffers() if are_several() else ():
        shared = buffer.contiguous()
        torch.distributed.broadcast(shared, src=0)
        buffer.copy_(shared)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors of one dtype by their means over all processes, in place."""
    if not are_several() or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors]) / torch.distributed.get_world_size()
    torch.distributed.all_reduce(flat)
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
