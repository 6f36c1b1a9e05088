"""Strategies that shard a model over processes, and the checkpoints that they write."""

import logging
from typing import Any

from jsonargparse import Namespace
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import FSDPStrategy

from ..errors import InputError

# Options of strategies: the value that makes a checkpoint a folder of shards, and that which makes it a file
FOLDERS = (("save_distributed_checkpoint", True, "false"), ("state_dict_type", "sharded", "full"))
log = logging.getLogger(__name__)


def refuse_folders(strategy: Any) -> None:
    """Refuse a strategy that writes checkpoints as folders: to read those would run pickled code.

    Args:
        strategy: ``trainer.strategy`` of a config.

    Raises:
        InputError: It writes folders; the message names the option, or other strategies, that write files.
    """
    expected = "expected a strategy whose checkpoints are files"
    init_args = strategy.get("init_args") or {} if isinstance(strategy, Namespace) else {}
    for name, value, other in FOLDERS:
        if init_args.get(name) == value:
            raise InputError(
                f"{expected}, got {name}={str(value).lower()}, which writes folders; "
                f"set --trainer.strategy.init_args.{name}={other}"
            )
    name = str(strategy.class_path if isinstance(strategy, Namespace) else strategy)
    if "deepspeed" in name.lower():
        raise InputError(
            f"{expected}, got {name}, which writes folders; use ddp, fsdp or ModelParallelStrategy"
        )


def is_whole(trainer: Trainer) -> bool:
    """Whether the model can be tested after training: FSDP cannot wrap the same model twice."""
    if isinstance(trainer.strategy, FSDPStrategy):
        log.info("a model sharded by FSDP is not tested after fit; run: test --run latest")
        return False
    return True
