"""What the processes of a run tell each other."""

from typing import Any

import torch


def gather_objects(mine: Any) -> list[Any]:
    """The objects of all processes in the order of their ranks; ``[mine]`` if there is one process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [mine]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    return gathered
