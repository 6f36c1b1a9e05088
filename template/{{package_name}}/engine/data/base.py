"""The base class of datamodules: splits, named validation sets, loaders, exact resume."""

import os
from typing import Any

import torch
from torch.utils.data import DataLoader

from ..contracts import AnyExample, DataModule
from ..errors import InputError
from ..foreign import is_overfitting
from .examples import ExampleSet
from .sampler import EpochBatches, OrderedBatches
from .shared_memory import check_shared_memory
from .split import split_rows


class TrainLoader(DataLoader):
    """Marks the loader as resumable for Lightning: the position is the Trainer's own progress."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep: seed, epoch and batch say it all."""
        return {"batches": len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Refuse a position that was counted in batches of another size."""
        if state["batches"] != len(self):
            raise InputError(
                f"expected {state['batches']} batches an epoch as in the interrupted run, got {len(self)}; "
                "resume with its data, batch size and number of processes"
            )


class BatchedData(DataModule):
    """Examples for training, validation and test, fetched in whole batches.

    A subclass gives ``load``; one that downloads or decodes does so in ``prepare_data``.

    Args:
        data_dir: Folder of the data.
        val_split: Share of the training examples in ``(0, 1)``, or a number of them, that is held out for
            validation; several named sets as a mapping. Not used where the data has a set of its own.
        num_workers: Processes that fetch batches; 0 is fastest for all data that is in memory.
        batch_size: Examples of a batch, per device.
        seed: Seed of splits, order and augmentation; ``None`` is the run's ``seed_everything``.
        shuffle: Draw a new order each epoch.
        pin_memory: Hand batches to a GPU through page-locked memory.
        drop_last: Leave out the last batch of an epoch if it is smaller.
        demo_only: Names of validation sets that are logged but do not count in ``val/...``.
        keep_on_device: Keep the examples in a GPU's memory if they take at most a quarter of what is free.
    """

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
        demo_only: list[str] | None = None,
        keep_on_device: bool = True,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"expected batch_size of at least 1, got {batch_size}")
        self.data_dir, self.val_split, self.num_workers = data_dir, val_split, num_workers
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.pin_memory, self.demo_only, self.keep_on_device = pin_memory, demo_only or [], keep_on_device
        self._seed = seed
        self._loaded: dict[str, dict[str, ExampleSet[Any]]] = {}
        self._sets: dict[str, ExampleSet[Any]] = {}
        self._val_names: list[str] = []
        self._resumed = (0, 0)

    def load(self, split: str) -> dict[str, ExampleSet[Any]]:
        """The sets of ``"train"``, ``"val"`` or ``"test"`` by name; empty if the data has none.

        The only set of a split bears the name of the split.
        """
        raise NotImplementedError(f"{type(self).__name__} must define load(split)")

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

    def setup(self, stage: str) -> None:
        if stage == "test":
            self._sets |= self.sets_of("test")
            if "test" not in self._sets:
                raise InputError(f"expected a test set in {self.data_dir}, got none; use validate instead")
        elif not self._val_names:
            val, train = self.sets_of("val"), self.sets_of("train")["train"]
            if not val:
                parts = self.val_split if isinstance(self.val_split, dict) else {"val": self.val_split}
                rows = split_rows(len(train), parts, self.seed)
                val = {name: train.subset(rows[name]) for name in parts}
                train = train.subset(rows["train"])
            if unknown := set(self.demo_only) - val.keys():
                raise InputError(f"expected demo_only to name sets of {sorted(val)}, got {sorted(unknown)}")
            if not val.keys() - set(self.demo_only):
                raise InputError("expected a validation set that counts, got demo_only for all of them")
            self._val_names = list(val)
            self._sets |= {f"val/{name}": examples for name, examples in val.items()} | {"train": train}

    def sets_of(self, split: str) -> dict[str, ExampleSet[Any]]:
        """What ``load`` gives, loaded once."""
        if split not in self._loaded:
            self._loaded[split] = self.load(split)
        return self._loaded[split]

    @property
    def train_set(self) -> ExampleSet[Any]:
        """What is trained on, without what was held out; known after ``setup``."""
        return self._sets["train"]

    def has_test(self) -> bool:
        return bool(self.sets_of("test"))

    def train_dataloader(self) -> TrainLoader:
        shuffle = self.shuffle and not is_overfitting(self.trainer)
        loader = self._loader("train", TrainLoader, shuffle=shuffle, drop=self.drop_last)
        loader.sampler.resume(*max(self._resumed, self._position(len(loader))))
        return loader

    def val_dataloader(self) -> list[DataLoader]:
        return [self._loader(f"val/{name}", DataLoader) for name in self._val_names]

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", DataLoader)

    def state_dict(self) -> dict[str, Any]:
        epoch, num_done = self._position(int(self.trainer.num_training_batches)) if self.trainer else (0, 0)
        return {"epoch": epoch, "num_done": num_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A schedule that asks for its length has the loader made before the Trainer knows where it stands.
        self._resumed = state_dict["epoch"], state_dict["num_done"]

    def on_after_batch_transfer(self, batch: AnyExample, dataloader_idx: int) -> AnyExample:
        if self.trainer is None or not self.trainer.training:
            return batch
        return self.change(batch, epoch=self.trainer.current_epoch)

    def _loader(self, name: str, cls: type[DataLoader], *, shuffle: bool = False, drop: bool = False) -> Any:
        trainer, dataset = self.trainer, self._on_device(self._sets[name])
        make = EpochBatches if shuffle else OrderedBatches
        sampler = make(
            len(dataset),
            self.batch_size,
            seed=self.seed,
            shuffle=shuffle,
            drop_last=drop,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        if self.num_workers:
            batch = dataset[range(min(len(dataset), self.batch_size))]
            num_bytes = sum(tensor.nbytes for tensor in batch.tensors.values())
            check_shared_memory(2 * self.num_workers * num_bytes)  # each worker is two ahead
        is_on_cpu = dataset.rows.device.type == "cpu"
        return cls(
            dataset=dataset,
            sampler=sampler,
            batch_size=None,
            collate_fn=_as_it_is,  # type: ignore[arg-type] # a batch comes whole
            num_workers=self.num_workers,
            pin_memory=self.pin_memory and is_on_cpu and self._device().type == "cuda",
            persistent_workers=self.num_workers > 0,
            generator=torch.Generator().manual_seed(self.seed),  # torch's own would be drawn from each epoch
        )

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def _on_device(self, dataset: ExampleSet[Any]) -> ExampleSet[Any]:
        """The set in GPU memory, where that is wanted and small enough."""
        device = self._device()
        if device.type != "cuda" or not self.keep_on_device or self.num_workers:
            return dataset
        return dataset.to(device) if dataset.nbytes <= torch.cuda.mem_get_info(device)[0] // 4 else dataset

    def _position(self, num_batches: int) -> tuple[int, int]:
        """Epoch and batch at which training begins: not the first when a run is resumed."""
        if not self.trainer:
            return 0, 0
        loop = self.trainer.fit_loop
        epoch = loop.epoch_progress.current.ready
        done = loop.epoch_loop.batch_progress.current.processed  # pyright: ignore[reportAttributeAccessIssue]
        return (epoch, 0) if done >= num_batches else (max(epoch - 1, 0), done)


def _as_it_is(batch: AnyExample) -> AnyExample:
    return batch
