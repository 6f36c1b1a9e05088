"""Several data sets that take turns."""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..contracts import DataDescription, DataModule, Example, Names
from ..data import BatchedData, ExampleSet, split_rows
from ..data.place import Placed
from ..errors import InputError, check_least
from ..foreign import is_overfitting
from ..trust.allowed import import_allowed
from .turns import Drawn, SameTurns, Turns, TurnsLoader, Until

SOURCES, READER = "sources", "reader"  # in the description: their names, and the class that reads for predict


class Interleave(Placed):
    """Data sets that take turns: each batch is from one of them, which its ``source`` names.

    Each has its own batch size, augmentation and workers. It is repeated as often as needed; the order and
    the augmentation of each round depend on its seed and the number of the round alone. What the model knows
    of the data (classes, shapes, vocabulary) comes from the first, which also reads the files for
    ``predict``.

    Args:
        sources: By name, each a ``BatchedData``; their classes must be the same.
        proportions: Share of each in the batches, in any unit; ``None`` for equal shares.
        labels: For some sources, the number of examples to train on, each class by its share; 0 for all
            examples, without their targets.
        until: Ends an epoch: when the ``shortest`` or the ``longest`` is through, or a number of batches.
        demo_only: Sources whose validation and test are logged but do not count in ``val/...``, ``test/...``.

    Raises:
        InputError: A source is not a ``BatchedData``, or a name or a number is wrong.
    """

    def __init__(
        self,
        sources: Mapping[str, LightningDataModule],
        *,
        proportions: dict[str, float] | None = None,
        labels: dict[str, int] | None = None,
        until: Until = "longest",
        demo_only: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.sources = _checked(sources)
        self.shares = dict.fromkeys(sources, 1.0) if proportions is None else proportions
        self.until: Until = until
        self.labels, self._is_begun = labels or {}, False
        self.demo_only = demo_only or []
        _check(self)

    def describe(self) -> DataDescription:
        """The description of the first source, with the names of all.

        Raises:
            InputError: Another source has other classes, another vocabulary or the like.
        """
        (first, known), *others = ((name, each.describe()) for name, each in self.sources.items())
        for name, each in others:
            if differing := _difference(known, each):
                raise InputError(
                    f"sources: expected {first} and {name} to agree, got another {differing}; make it the "
                    "same, or train on one after the other: docs/stages.md"
                )
        cls = type(self.sources[first])
        own = {SOURCES: list(self.sources), READER: f"{cls.__module__}.{cls.__qualname__}"}
        return replace(known, extras=known.extras | own)

    def statistics(self) -> tuple[Tensor, Tensor] | None:
        """Mean and standard deviation of the training inputs, each source by its share; ``None`` without any.

        Also ``None`` if their numbers of channels differ: no model could take both.

        Raises:
            InputError: Some are to be normalised, and others are not.
        """
        found = {name: each.statistics() for name, each in self.sources.items()}
        known = {name: each for name, each in found.items() if each is not None}
        if len({mean.shape for mean, _ in known.values()}) != 1:
            return None
        return _pool(known, {name: self.shares[name] * self.sources[name].batch_size for name in known})

    def fingerprint(self) -> dict[str, str | int]:
        shares = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
        each = {name: source.fingerprint() for name, source in self.sources.items()}
        own = {f"{key} of {name}": value for name, facts in each.items() for key, value in facts.items()}
        return {"turns": f"{shares} until {self.until}", **own}

    @property
    def val_sets(self) -> dict[str, bool]:
        return self._sets({name: source.val_sets for name, source in self.sources.items()})

    @property
    def test_sets(self) -> dict[str, bool]:
        return self._sets({name: source.test_sets for name, source in self._tested()})

    def has_test(self) -> bool:
        return bool(self._tested())

    def prepare_data(self) -> None:
        for source in self.sources.values():
            source.prepare_data()

    def setup(self, stage: str) -> None:
        for source in self.sources.values():
            source.trainer = self.trainer
        if stage == "test" and not self.has_test():
            raise InputError("expected a test set of at least one source, got none; use validate instead")
        for source in self.sources.values():
            if stage != "test" or source.has_test():
                source.setup(stage)
        if stage != "test" and not self._is_begun:
            self._is_begun = True
            for name, number in self.labels.items():
                source = self.sources[name]
                source.train_set = _keep_labels(source.train_set, number, source.seed)

    def teardown(self, stage: str) -> None:
        for source in self.sources.values():
            source.teardown(stage)

    def train_dataloader(self) -> TurnsLoader:
        loaders = {name: source.train_dataloader() for name, source in self.sources.items()}
        lengths = {name: len(loader) for name, loader in loaders.items()}
        turns = (SameTurns if is_overfitting(self.trainer) else Turns)(lengths, self.shares, self.until)
        turns.resume(*self.place(len(turns)))
        return TurnsLoader(loaders, turns)

    def val_dataloader(self) -> list[DataLoader]:
        return [loader for source in self.sources.values() for loader in source.val_dataloader()]

    def test_dataloader(self) -> list[DataLoader]:
        return [source.test_dataloader() for _, source in self._tested()]

    def on_after_batch_transfer(self, batch: Drawn | Example, dataloader_idx: int) -> Example:
        if isinstance(batch, Drawn):
            source = self.sources[batch.source]
            source.round = batch.round
            return replace(source.on_after_batch_transfer(batch.batch, 0), source=batch.source)
        is_test = bool(self.trainer and self.trainer.testing)
        name = list(self.test_sets if is_test else self.val_sets)[dataloader_idx].partition("/")[0]
        return replace(self.sources[name].on_after_batch_transfer(batch, 0), source=name)

    @classmethod
    def read(cls, path: Path, data: DataDescription, **options: Any) -> Iterator[tuple[Names, Example]]:
        """For ``predict``: reads as the first source does."""
        return _reader(data).read(path, data, **options)

    @classmethod
    def restore(cls, image: Image.Image, name: str, data: DataDescription) -> Image.Image:
        """Restores as the first source does."""
        return _reader(data).restore(image, name, data)

    def _tested(self) -> list[tuple[str, BatchedData]]:
        return [(name, source) for name, source in self.sources.items() if source.has_test()]

    def _sets(self, sets: Mapping[str, Mapping[str, bool]]) -> dict[str, bool]:
        """All sets: named for the source, or ``<source>/<set>`` if it has several."""
        return {
            (name if len(own) == 1 else f"{name}/{each}"): counts and name not in self.demo_only
            for name, own in sets.items()
            for each, counts in own.items()
        }


def _difference(known: DataDescription, other: DataDescription) -> str:
    """In what two sets of one model differ; what only one of them defines does not count."""
    both = known.extras.keys() & other.extras.keys()
    if differing := [key for key in sorted(both) if known.extras[key] != other.extras[key]]:
        return differing[0]
    if None not in (known.num_outputs, other.num_outputs) and known.num_outputs != other.num_outputs:
        return f"number of outputs, {known.num_outputs} and {other.num_outputs}"
    names = known.class_names, other.class_names
    return f"names of classes, {', '.join(names[1])}" if all(names) and names[0] != names[1] else ""


def _keep_labels(examples: ExampleSet[Any], number: int, seed: int) -> ExampleSet[Any]:
    targets = examples.targets
    if not number:
        unlabelled = copy(examples)
        unlabelled.examples = replace(examples.examples, target=None)
        return unlabelled
    is_class = targets is not None and targets.ndim == 1 and not targets.is_floating_point()
    rows = split_rows(len(examples), {"labels": number}, seed, targets if is_class else None)
    return examples.subset(rows["labels"])


def _pool(found: Mapping[str, tuple[Tensor, Tensor]], sizes: Mapping[str, float]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, ``(C,)`` float32, of all sources, weighted by ``sizes``."""
    means, stds = (torch.stack(each).double() for each in zip(*found.values(), strict=True))
    is_raw = ((means == 0) & (stds == 1)).all(dim=1).tolist()
    if len(set(is_raw)) > 1:
        names = ", ".join(name for name, raw in zip(found, is_raw, strict=True) if raw)
        raise InputError(f"sources: expected normalize for all or none, got none for {names}; set it")
    weights = torch.tensor([sizes[name] for name in found], dtype=torch.float64)[:, None]
    weights /= weights.sum()
    mean = (weights * means).sum(dim=0)
    variance = (weights * (stds.square() + (means - mean).square())).sum(dim=0)
    return mean.float(), variance.sqrt().float()


def _checked(sources: Mapping[str, object]) -> dict[str, BatchedData]:
    wrong = [name for name in sources if name in dir(nn.ModuleDict) or not name.isidentifier()]
    if not sources or wrong:
        got = wrong[0] if wrong else "none"
        raise InputError(f"sources: expected words that torch does not use itself, got {got}; rename it")
    found: dict[str, BatchedData] = {}
    for name, source in sources.items():
        if not isinstance(source, BatchedData):
            got = type(source).__name__
            raise InputError(f"sources: {name}: expected a BatchedData, got {got}; name another class")
        found[name] = source
    return found


def _check(data: Interleave) -> None:
    names = list(data.sources)
    if data.shares.keys() != data.sources.keys() or min(data.shares.values()) <= 0:
        raise InputError(
            f"proportions: expected a positive number for each of {', '.join(names)}, got {data.shares}"
        )
    check_least(1, until=data.until if isinstance(data.until, int) else None)
    for key, given in (("demo_only", data.demo_only), ("labels", data.labels)):
        if unknown := sorted(set(given) - set(names)):
            raise InputError(f"{key}: expected sources of {', '.join(names)}, got {unknown[0]}")
    if min(data.labels.values(), default=0) < 0:
        raise InputError(f"labels: expected numbers of examples, got {data.labels}")
    if not set(names) - set(data.demo_only):
        raise InputError("demo_only: expected a source that counts, got all of them")


def _reader(data: DataDescription) -> type[DataModule]:
    module, _, name = str(data.extras.get(READER)).rpartition(".")
    return vars(import_allowed(module))[name]
