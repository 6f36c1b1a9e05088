"""The shared memory in which worker processes pass batches on."""

import shutil
import sys
from pathlib import Path

from ..errors import InputError

PLACE = Path("/dev/shm")


def check_shared_memory(num_bytes: int) -> None:
    """Refuse workers whose batches do not fit: they would wait for room forever.

    Args:
        num_bytes: Size of all prefetched batches.

    Raises:
        InputError: Less memory is free, as by default in a container.
    """
    if sys.platform != "linux":
        return
    free = shutil.disk_usage(PLACE).free if PLACE.is_dir() else 0
    if free < num_bytes:
        raise InputError(
            f"expected {num_bytes / 1e6:.1f} MB of shared memory in {PLACE} for num_workers, got "
            f"{free / 1e6:.1f} MB; give more (docker run --shm-size=8g) or set --data.init_args.num_workers=0"
        )
