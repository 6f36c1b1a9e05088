"""The base class of all datamodules: splits, named validation sets, loaders, augmentation."""

import os
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import InputError
from ..structs import Example
from .augment import Augment
from .dataset import ImageTensors, split_rows
from .sampler import EpochBatches, OrderedBatches
from .shared_memory import check_shared_memory

STATISTICS_SAMPLE = 10_000  # images; more would not change mean and deviation in the third digit


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


class ImageData(LightningDataModule):
    """Labelled images for training, validation and test.

    A subclass sets ``class_names`` and ``image_shape`` in ``__init__`` (cheaply: no image is decoded
    there) and gives ``load``; one that downloads or decodes does so in ``prepare_data``.

    Args:
        data_dir: Folder of the data.
        val_split: Share of the training images in ``(0, 1)``, or a number of them, that is held out for
            validation; several named sets as a mapping. Not used where the data has a set of its own.
        demo_only: Names of validation sets that are logged but do not count in ``val/...``.
        batch_size: Examples of a batch, per device.
        num_workers: Processes that fetch batches; 0 is fastest for all data that is decoded already.
        shuffle: Draw a new order each epoch.
        drop_last: Leave out the last batch of an epoch if it is smaller.
        normalize: Scale to zero mean and unit variance of the training images, else to ``[0, 1]``.
        augment: Changes of training images.
        seed: Seed of splits, order and augmentation; ``None`` is the run's ``seed_everything``.
        pin_memory: Hand batches to a GPU through page-locked memory.
        keep_on_device: Keep the images in a GPU's memory if they take at most a quarter of what is free.

    Attributes:
        class_names: Name of each class, by index.
        image_shape: ``(C, H, W)``.
    """

    class_names: list[str]
    image_shape: tuple[int, int, int]

    def __init__(
        self,
        data_dir: str = "data",
        val_split: float | dict[str, float] = 0.1,
        num_workers: int = 0,
        normalize: bool = True,
        batch_size: int = 128,
        seed: int | None = None,
        shuffle: bool = True,
        pin_memory: bool = True,
        drop_last: bool = False,
        *,
        augment: Augment | None = None,
        demo_only: list[str] | None = None,
        keep_on_device: bool = True,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"expected batch_size of at least 1, got {batch_size}")
        self.data_dir, self.val_split, self.num_workers = data_dir, val_split, num_workers
        self.normalize, self.batch_size, self.shuffle = normalize, batch_size, shuffle
        self.pin_memory, self.drop_last = pin_memory, drop_last
        self.augment, self.demo_only, self.keep_on_device = augment, demo_only or [], keep_on_device
        self._seed = seed
        self._loaded: dict[str, dict[str, ImageTensors]] = {}
        self._sets: dict[str, ImageTensors] = {}
        self._val_names: list[str] = []
        self._resumed = (0, 0)

    def load(self, split: str) -> dict[str, ImageTensors]:
        """The sets of ``"train"``, ``"val"`` or ``"test"`` by name; empty if the data has none.

        The only set of a split bears the name of the split.
        """
        raise NotImplementedError(f"{type(self).__name__} must define load(split)")

    @property
    def num_classes(self) -> int:
        """Number of classes ``K``."""
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        """Number of channels ``C``."""
        return self.image_shape[0]

    @property
    def seed(self) -> int:
        """The seed in use."""
        return int(os.environ.get("PL_GLOBAL_SEED", 0)) if self._seed is None else self._seed

    @property
    def val_sets(self) -> dict[str, bool]:
        """Names of the validation sets in order, and whether each counts in ``val/...``."""
        return {name: name not in self.demo_only for name in self._val_names}

    def setup(self, stage: str) -> None:
        if stage == "test":
            self._sets |= self._sets_of("test")
            if "test" not in self._sets:
                raise InputError(f"expected a test set in {self.data_dir}, got none; use validate instead")
        elif not self._val_names:
            val, train = self._sets_of("val"), self._sets_of("train")["train"]
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
            self._sets |= {f"val/{name}": images for name, images in val.items()} | {"train": train}

    def has_test(self) -> bool:
        """Whether there is a test set."""
        return bool(self._sets_of("test"))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training images, ``(C,)`` float32 of pixels in ``[0, 1]``.

        Taken from at most 10,000 images at equal distances; 0 and 1 if ``normalize`` is off.
        """
        if not self.normalize:
            return torch.zeros(self.in_channels), torch.ones(self.in_channels)
        train = self._sets["train"]
        positions = range(0, len(train), max(1, len(train) // STATISTICS_SAMPLE))
        pixels = train[positions].image.transpose(0, 1).flatten(1).int()
        counts = torch.stack([torch.bincount(channel, minlength=256) for channel in pixels]).double().cpu()
        levels = torch.arange(256) / 255
        mean = (counts @ levels.double()) / counts.sum(dim=1)
        variance = (counts @ levels.double().square()) / counts.sum(dim=1) - mean.square()
        return mean.float(), variance.clamp_min(1e-6).sqrt().float()

    def train_dataloader(self) -> TrainLoader:
        overfits = bool(getattr(self.trainer, "overfit_batches", 0))
        loader = self._loader(
            "train", TrainLoader, shuffle=self.shuffle and not overfits, drop=self.drop_last
        )
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

    def on_after_batch_transfer(self, batch: Example, dataloader_idx: int) -> Example:
        if self.augment and self.trainer and self.trainer.training:
            return self.augment(batch, seed=self.seed, epoch=self.trainer.current_epoch)
        return batch

    def _sets_of(self, split: str) -> dict[str, ImageTensors]:
        if split not in self._loaded:
            self._loaded[split] = self.load(split)
        return self._loaded[split]

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
            check_shared_memory(2 * self.num_workers * batch.image.nbytes)  # each worker is two ahead
        on_gpu = bool(trainer) and trainer.strategy.root_device.type == "cuda"
        return cls(
            dataset=dataset,
            sampler=sampler,
            batch_size=None,
            collate_fn=_as_it_is,  # type: ignore[arg-type] # a batch comes whole
            num_workers=self.num_workers,
            pin_memory=self.pin_memory and on_gpu and dataset.images.device.type == "cpu",
            persistent_workers=self.num_workers > 0,
            generator=torch.Generator().manual_seed(self.seed),  # torch's own would be drawn from each epoch
        )

    def _on_device(self, dataset: ImageTensors) -> ImageTensors:
        """The set in GPU memory, where that is wanted and small enough."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type != "cuda" or not self.keep_on_device or self.num_workers:
            return dataset
        needed = dataset.images.nbytes
        return dataset.to(device) if needed <= torch.cuda.mem_get_info(device)[0] // 4 else dataset

    def _position(self, num_batches: int) -> tuple[int, int]:
        """Epoch and batch at which training begins: not the first when a run is resumed."""
        if not self.trainer:
            return 0, 0
        loop = self.trainer.fit_loop
        epoch = loop.epoch_progress.current.ready
        done = loop.epoch_loop.batch_progress.current.processed  # pyright: ignore[reportAttributeAccessIssue]
        return (epoch, 0) if done >= num_batches else (max(epoch - 1, 0), done)


def _as_it_is(batch: Example) -> Example:
    return batch
