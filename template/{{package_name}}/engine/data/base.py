"""The base class of datamodules: splits, named validation sets, loaders, exact resume."""

import os
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..contracts import DataDescription, Example
from ..errors import InputError, check_least
from ..foreign import is_overfitting
from .balance import measure_balance
from .examples import ExampleSet, as_sets, describe_examples
from .loaders import TrainLoader, make_loader, move_if_small
from .place import Placed
from .sampler import EpochBatches, OrderedBatches
from .split import shares_by_name, split_rows


class BatchedData(Placed):
    """Examples for training, validation and test, fetched in whole batches.

    A subclass defines ``load``, and downloads or decodes in ``prepare_data``.

    Args:
        data_dir: Folder of the data.
        val_split: Share of the training examples in ``(0, 1)``, or number of them, to hold out for
            validation; a mapping for several named sets. Not used if the data has its own set.
        num_workers: Processes that fetch batches; 0 is fastest for data in memory.
        batch_size: Number of examples in a batch, per device.
        seed: Seed of splits, order and augmentation; ``None`` is the run's ``seed_everything``.
        shuffle: Draw a new order of the training examples each epoch.
        pin_memory: Copy batches to a GPU from page-locked memory.
        drop_last: Leave out the last training batch of an epoch if it is smaller.
        stratify: Hold out the same share of each class; targets must be class indices.
        demo_only: Names of validation sets that are logged but do not count in ``val/...``.
        keep_on_device: Keep the examples in GPU memory if they take at most a quarter of what is free.
    """

    round: int | None = None  # augmentation draws by it, or by the run's epoch if it is None

    def __init__(
        self,
        data_dir: str = "data",
        *,
        val_split: float | dict[str, float] = 0.1,
        num_workers: int = 0,
        batch_size: int = 128,
        seed: int | None = None,
        shuffle: bool = True,
        pin_memory: bool = True,
        drop_last: bool = False,
        stratify: bool = False,
        demo_only: list[str] | None = None,
        keep_on_device: bool = True,
    ) -> None:
        super().__init__()
        check_least(1, batch_size=batch_size)
        check_least(0, num_workers=num_workers)
        self.data_dir, self.val_split, self.num_workers = data_dir, val_split, num_workers
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.pin_memory, self.demo_only, self.keep_on_device = pin_memory, demo_only or [], keep_on_device
        self.stratify, self._seed, self._val_names = stratify, seed, list[str]()
        self._loaded: dict[str, dict[str, ExampleSet[Any]]] = {}
        self._sets: dict[str, ExampleSet[Any]] = {}

    def load(self, split: str) -> Example | ExampleSet[Any] | dict[str, ExampleSet[Any]] | None:
        """The examples of ``"train"``, ``"val"`` or ``"test"`` as one struct or set, or ``None`` for none.

        Return a mapping for several named validation sets.
        """
        raise NotImplementedError(f"{type(self).__name__} must define load(split)")

    def describe(self) -> DataDescription:
        """Describe the training set; override this if that cannot be loaded before ``prepare_data``."""
        return describe_examples(next(iter(self.sets_of("train").values())).examples)

    def change(self, batch: Any, *, epoch: int) -> Any:
        """Augment a batch of training examples, on its device; ``epoch`` counts from 0."""
        return batch

    @property
    def seed(self) -> int:
        """The seed in use."""
        return int(os.environ.get("PL_GLOBAL_SEED", 0)) if self._seed is None else self._seed

    @property
    def val_sets(self) -> dict[str, bool]:
        return {name: name not in self.demo_only for name in self._val_names}

    def fingerprint(self) -> dict[str, str | int]:
        sets = {f"{name} set": self._sets[name].fingerprint() for name in sorted(self._sets)}
        return {"batch_size": self.batch_size, "seed of the data": self.seed, **sets}

    def balance(self) -> dict[str, Any]:
        return measure_balance(self._sets, self.val_sets, self.describe)

    def setup(self, stage: str) -> None:
        if stage == "test":
            self._sets |= self.sets_of("test")
            if "test" not in self._sets:
                raise InputError(f"expected a test set in {self.data_dir}, got none; use validate instead")
        elif not self._val_names:
            val, train = self.sets_of("val"), self.sets_of("train")["train"]
            if not val:
                train, val = _hold_out(train, self.val_split, self.seed, stratify=self.stratify)
            _check_demo_only(self.demo_only, sorted(val))
            self._val_names = list(val)
            self._sets |= {f"val/{name}": examples for name, examples in val.items()} | {"train": train}

    def sets_of(self, split: str) -> dict[str, ExampleSet[Any]]:
        """What ``load`` returns, loaded once."""
        if split not in self._loaded:
            self._loaded[split] = as_sets(self.load(split), split)
        if split == "train" and split not in self._loaded[split]:
            raise InputError(f"{type(self).__name__}.load('train'): expected examples, got none")
        return self._loaded[split]

    @property
    def train_set(self) -> ExampleSet[Any]:
        """The training examples, without those held out; known after ``setup``."""
        return self._sets["train"]

    @train_set.setter
    def train_set(self, examples: ExampleSet[Any]) -> None:
        self._sets["train"] = examples

    def has_test(self) -> bool:
        return bool(self.sets_of("test"))

    def train_dataloader(self) -> TrainLoader:
        shuffle = self.shuffle and not is_overfitting(self.trainer)
        loader = self._loader("train", TrainLoader, shuffle=shuffle, drop=self.drop_last)
        loader.sampler.resume(*self.place(len(loader)))
        return loader

    def val_dataloader(self) -> list[DataLoader]:
        return [self._loader(f"val/{name}", DataLoader) for name in self._val_names]

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", DataLoader)

    def on_after_batch_transfer(self, batch: Example, dataloader_idx: int) -> Example:
        if not (self.trainer and self.trainer.training):
            return batch
        return self.change(batch, epoch=self.trainer.current_epoch if self.round is None else self.round)

    def _loader(self, name: str, cls: type[DataLoader], *, shuffle: bool = False, drop: bool = False) -> Any:
        trainer, dataset = self.trainer, self._sets[name]
        device = trainer.strategy.root_device if trainer else torch.device("cpu")
        if self.keep_on_device and not self.num_workers:
            dataset = move_if_small(dataset, device)
        ranks = (trainer and trainer.distributed_sampler_kwargs) or {"rank": 0, "num_replicas": 1}
        sampler = (EpochBatches if shuffle else OrderedBatches)(
            len(dataset),
            self.batch_size,
            seed=self.seed,
            shuffle=shuffle,
            drop_last=drop,
            rank=ranks["rank"],
            world_size=ranks["num_replicas"],
            device=None if self.num_workers else dataset.rows.device,
            lengths=dataset.lengths,
        )
        pins = self.pin_memory and device.type == "cuda" and dataset.rows.device.type == "cpu"
        return make_loader(
            cls, dataset, sampler, num_workers=self.num_workers, pin_memory=pins, seed=self.seed
        )


def _hold_out(
    train: ExampleSet[Any], shares: float | dict[str, float], seed: int, *, stratify: bool
) -> tuple[ExampleSet[Any], dict[str, ExampleSet[Any]]]:
    """What is left of ``train``, and the validation sets by name."""
    parts = shares_by_name(shares)
    rows = split_rows(len(train), parts, seed, train.targets if stratify else None)
    return train.subset(rows["train"]), {name: train.subset(rows[name]) for name in parts}


def _check_demo_only(demo_only: list[str], names: list[str]) -> None:
    if unknown := set(demo_only) - set(names):
        raise InputError(f"expected demo_only to name sets of {names}, got {sorted(unknown)}")
    if not set(names) - set(demo_only):
        raise InputError("expected a validation set that counts, got demo_only for all of them")
