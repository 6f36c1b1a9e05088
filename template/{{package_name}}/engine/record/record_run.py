"""Records what is known about a run in its folder and its loggers."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser
from torch import nn

from .. import PACKAGE
from ..contracts import DataModule
from ..data import BatchedData
from ..data.balance import describe_counts
from ..foreign import datamodule_of
from ..interleave import TurnsLoader
from ..loggers import log_config
from ..resume.same_run import facts_of
from ..runs.describe import describe_run, write_description
from ..runs.files import write_text
from ..runs.folder import CONFIG
from ..trust.masking import mask

FEW_STEPS = 10
log = logging.getLogger(__name__)


class RecordRun(Callback):
    """Writes the resolved config and the run's description when the run starts."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace, run: Path) -> None:
        self.parser, self.config, self.run, self.has_started = parser, config, run, False
        self._num_parameters = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._num_parameters = count_parameters(pl_module)  # before a strategy shards the model
        if trainer.is_global_zero:
            if not (self.run / CONFIG).exists():
                self._write_config()
            write_description(self.run, stage=stage, facts=facts_of(trainer), **_balance(trainer))
            if stage != "fit":
                self._log_config(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Not earlier: a resume with changed options that is refused must not overwrite the run's config.
        # Not at the start of an epoch, which a run that is resumed inside one does not have.
        if trainer.is_global_zero and not self.has_started:
            self._write_config()
            self._announce(trainer, pl_module, len(batch))
            self._log_config(trainer)
        self.has_started = True

    def plain_config(self) -> dict[str, Any]:
        """The resolved config as plain values for JSON, with what looks like a secret masked."""
        return mask(to_plain(self.parser, self.config))

    def _announce(self, trainer: Trainer, pl_module: LightningModule, batch_size: int) -> None:
        num_parameters = max(self._num_parameters, count_parameters(pl_module))
        names = type(pl_module).__name__, type(datamodule_of(trainer)).__name__
        folder, epoch = os.path.relpath(self.run), trainer.current_epoch + 1
        num_steps, devices = trainer.num_training_batches, describe_devices(trainer, batch_size)
        steps = f"{num_steps} steps an epoch, " if num_steps != float("inf") else ""
        log.info(
            f"training {names[0]} ({num_parameters:,} parameters) on {names[1]}, {devices}, "
            f"{steps}from epoch {epoch}: {folder}"
        )
        if isinstance(trainer.train_dataloader, TurnsLoader):
            log.info(f"an epoch: {trainer.train_dataloader.describe()}")
        if balance := _balance(trainer):
            log.info(describe_counts(balance["class_counts"], balance.get("majority_accuracy")))
        if not isinstance(datamodule_of(trainer), DataModule):
            log.warning(
                f"{names[1]} is a plain LightningDataModule: no class names, no named validation sets, "
                "and a resume inside an epoch reads its batches again; subclass BatchedData for them"
            )
        if num_steps < FEW_STEPS:
            log.warning(f"an epoch of {num_steps} steps is short: lower batch_size, or raise max_epochs")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt):
            log.warning(f"interrupted; go on with: python -m {PACKAGE} fit --resume {self.run.name}")

    def _log_config(self, trainer: Trainer) -> None:
        config = self.plain_config() | {"git": describe_run()["git"]}
        for logger in trainer.loggers:
            log_config(logger, config)

    def _write_config(self) -> None:
        text = yaml.safe_dump(self.plain_config(), sort_keys=False, allow_unicode=True)
        write_text(self.run / CONFIG, text)


def count_parameters(module: nn.Module) -> int:
    """Number of elements of all parameters that this process holds, frozen ones included."""
    return sum(parameter.numel() for parameter in module.parameters())


def describe_devices(trainer: Trainer, batch_size: int) -> str:
    """Where a run trains, and how many examples make a step: ``2 processes x cuda, global batch 256``.

    Args:
        trainer: The run's Trainer, once it trains.
        batch_size: Number of examples in a batch of this process.
    """
    device, data = trainer.strategy.root_device.type, datamodule_of(trainer)
    num_sets = (trainer.distributed_sampler_kwargs or {}).get("num_replicas", 1)
    size = batch_size * num_sets
    if isinstance(data, BatchedData):  # a run may be resumed at a smaller batch
        size = min(data.batch_size * num_sets, len(data.train_set))
    sizes = [size]
    if isinstance(data, DataModule) and data.sources:
        sizes = [each.batch_size * num_sets for each in data.sources.values()]
    said = " or ".join(f"{size * trainer.accumulate_grad_batches}" for size in dict.fromkeys(sizes))
    if trainer.world_size == 1:
        return f"{device}, batch {said}"
    return f"{trainer.world_size} processes x {device}, global batch {said}"


def _balance(trainer: Trainer) -> dict[str, Any]:
    data = datamodule_of(trainer)
    return data.balance() if isinstance(data, BatchedData) else {}


def to_plain(parser: LightningArgumentParser, config: Namespace) -> dict[str, Any]:
    """A config as plain values for JSON."""
    return json.loads(parser.dump(config, skip_none=False, format="json"))
