"""Data sets of Hugging Face ``datasets``: from a folder, from files or from the hub."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..engine import huggingface as hf
from ..engine.contracts import DataDescription, DataModule
from ..engine.data import ExampleSet, divide_rows, shares_by_name
from ..engine.data.examples import describe_examples
from ..engine.data.place import position_of
from ..engine.errors import InputError
from ..engine.texts import Kind, TextSet, Tokenizer, read_tokens
from ..structs import TextExample, VectorExample
from .images import ImageData

KINDS = ("image", "text", "features")


class HuggingFace(ImageData):
    """Images, texts or numbers, each with a class or with numbers to predict.

    Numbers stay in Arrow's memory-mapped file if they are one column in one piece. Images are decoded
    once, into ``<data_dir>/.cache``. The tokenizer of texts is fitted on the training set, and kept in the
    checkpoint.

    Args:
        path: Folder of ``save_to_disk``, file or folder of Parquet, CSV, JSON or Arrow, or name on the hub.
        fields: The column of ``image``, ``text`` or ``features`` (also several columns), and of ``target``.
        name: Which of several sets under one name on the hub.
        revision: Branch, tag or commit on the hub.
        test_split: Share or number of the rows that makes the test set if there is none; 0 for none.
        image_size: Height and width in pixels to which images are scaled and cropped.
        tokenizer: ``characters``, for words and short texts; ``bpe``, frequent pieces of words, for others.
        vocab_size: Largest number of different tokens.
        max_length: Tokens of a text; longer ones are cut.
        **kwargs: See ``ImageData``.

    Raises:
        InputError: The set cannot be had, or a column is not what it should be.
    """

    def __init__(
        self,
        path: str,
        fields: dict[str, str | list[str]],
        *,
        name: str | None = None,
        revision: str | None = None,
        test_split: float = 0.0,
        image_size: int = 224,
        tokenizer: Kind = "characters",
        vocab_size: int = 4000,
        max_length: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        kinds = [kind for kind in KINDS if kind in fields]
        if len(kinds) != 1 or fields.keys() != {*kinds, "target"}:
            raise InputError(
                f"expected fields of one of {', '.join(KINDS)} and target, got {', '.join(fields)}"
            )
        self.path, self.name, self.revision = path, name, revision
        self.kind, self.source = kinds[0], fields[kinds[0]]
        self.target, self.test_split = str(fields["target"]), test_split
        self.image_shape, self.folder = (3, image_size, image_size), Path(self.data_dir, ".cache/huggingface")
        self.tokenizer_kind: Kind = tokenizer
        self.vocab_size, self.max_length = vocab_size, max_length
        self._made: dict[str, ExampleSet[Any]] = {}

    def prepare_data(self) -> None:
        """Download, convert and decode what is not there yet."""
        for split in ("train", "val", "test"):
            self.sets_of(split)

    def load(self, split: str) -> dict[str, ExampleSet[Any]]:
        names = [name for name in self._rows if (name if name in ("train", "test") else "val") == split]
        return {name: self._whole(self._rows[name][0]).subset(self._rows[name][1]) for name in names}

    def describe(self) -> DataDescription:
        extras: dict[str, Any] = {"source": self.source}
        shapes: dict[str, tuple[int, ...]] = {}
        if self.kind == "text":
            tokenizer = self._tokenizer
            extras |= {"tokenizer": tokenizer.text, "vocabulary": tokenizer.vocabulary}
            extras["max_length"] = self.max_length
        elif self.kind == "image":
            shapes = {"image": self.image_shape}
        else:
            shapes = {"features": self._whole("train").examples.shapes["features"]}
        names, num_outputs = self._classes or [self.target], self.num_classes
        known = tuple(names) if len(names) == num_outputs else ()
        return DataDescription(num_outputs=num_outputs, class_names=known, shapes=shapes, extras=extras)

    @property
    def num_classes(self) -> int:
        """Number of classes, or of predicted numbers; no image is decoded to find out."""
        return len(self._classes) or self._targets("train").shape[1]

    def statistics(self) -> tuple[Tensor, Tensor] | None:  # type: ignore[override]
        """Of images; see ``ImageData``."""
        return super().statistics() if self.kind == "image" else None

    def change(self, batch: Any, *, epoch: int) -> Any:
        return super().change(batch, epoch=epoch) if self.kind == "image" else batch

    @classmethod
    def read(cls, path: Path, data: DataDescription, **options: Any) -> Iterator[tuple[Any, Any]]:
        """For ``predict``: images, texts (see ``Texts``), or tables with the columns of the features."""
        if "image" in data.shapes:
            yield from super().read(path, data, **options)
        elif "tokenizer" in data.extras:
            for columns, ids, mask in read_tokens(path, data.extras["source"], data.extras, **options):
                yield columns, TextExample(input_ids=ids, attention_mask=mask)
        else:
            for names, features in hf.read_features(path, data.extras["source"], options["batch_size"]):
                yield names, VectorExample(features=features)

    @cached_property
    def _found(self) -> dict[str, Any]:
        return hf.open_splits(self.path, name=self.name, revision=self.revision)

    @cached_property
    def _classes(self) -> list[str]:
        """Empty if numbers are predicted."""
        return hf.class_names(self._found["train"], self.target)

    @cached_property
    def _rows(self) -> dict[str, tuple[str, Tensor]]:
        """Of each set, the split in which it lies, and its ``(M,)`` int64 rows there."""
        rows = {split: (split, torch.arange(len(found))) for split, found in self._found.items()}
        if self.test_split and "test" not in rows:
            rows |= self._divide(rows["train"][1], {"test": self.test_split})
        if "val" not in rows:
            rows |= self._divide(rows["train"][1], shares_by_name(self.val_split))
        return rows

    def _divide(self, rows: Tensor, shares: dict[str, float]) -> dict[str, tuple[str, Tensor]]:
        labels = self._targets("train")[rows] if self.stratify else None
        parts = divide_rows(rows, shares, self.seed, labels)
        return {name: ("train", part) for name, part in parts.items()}

    def _targets(self, split: str) -> Tensor:
        return hf.target_of(self._found[split], self.target, self._classes)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        texts, rows = hf.texts_of(self._found["train"], str(self.source)), self._rows["train"][1]
        return Tokenizer.fit([texts[row] for row in rows.tolist()], self.tokenizer_kind, self.vocab_size)

    def _whole(self, split: str) -> ExampleSet[Any]:
        """All rows of a split."""
        if split not in self._made:
            found, target = self._found[split], self._targets(split)
            if self.kind == "image":
                pixels = hf.decode(found, str(self.source), self.image_shape, self.folder)
                made = self.image_set(pixels, target)
            elif self.kind == "text":
                tokens = self._tokenizer.encode(hf.texts_of(found, str(self.source)), self.max_length)
                made = TextSet(tokens, target, TextExample)
            else:
                features = hf.features_of(found, self.source)
                made = hf.FloatSet(VectorExample(features=features, target=target))
            self._made[split] = made
        return self._made[split]


class HuggingFaceStream(DataModule):
    """Rows of numbers with a class, read one at a time and never all; exact in a resumed run.

    Args:
        path: See ``HuggingFace``.
        features: Columns of numbers, or one of lists.
        target: Column of the classes; the set must name them, or they are ``class_names``.
        class_names: Names of the classes.
        num_val: Number of first rows used for validation, if there is no set for it.
        name: See ``HuggingFace``.
        revision: See ``HuggingFace``.
        batch_size: Rows of a batch, per device.
        buffer_size: Rows from which the next one is drawn; 1 keeps the order.
        seed: Of that order.

    Raises:
        InputError: The set cannot be had, or a column is not what it should be.
    """

    def __init__(
        self,
        path: str,
        features: str | list[str],
        target: str,
        *,
        class_names: list[str] | None = None,
        num_val: int = 1000,
        name: str | None = None,
        revision: str | None = None,
        batch_size: int = 128,
        buffer_size: int = 10_000,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features, self.target, self.num_val = features, target, num_val
        self.batch_size, self.buffer_size, self.seed = batch_size, buffer_size, seed
        self.found = hf.open_splits(path, name=name, revision=revision, streaming=True)
        self.class_names = class_names or hf.class_names_of_stream(self.found["train"], target)

    def describe(self) -> DataDescription:
        first = self._make(next(iter(self.found["train"].take(1).iter(batch_size=1))))
        names, shapes = tuple(self.class_names), describe_examples(first).shapes
        return DataDescription(num_outputs=len(names), class_names=names, shapes=shapes)

    def fingerprint(self) -> dict[str, str | int]:
        return {"batch_size": self.batch_size, "buffer_size": self.buffer_size, "seed of the data": self.seed}

    def has_test(self) -> bool:
        return "test" in self.found

    def train_dataloader(self) -> hf.Stream:
        rows = self.found["train"] if "val" in self.found else self.found["train"].skip(self.num_val)
        if self.buffer_size > 1:
            rows = rows.shuffle(seed=self.seed, buffer_size=self.buffer_size)
        stream = self._stream(rows)
        stream.resume(*position_of(self.trainer, float("inf")))
        return stream

    def val_dataloader(self) -> hf.Stream:
        return self._stream(self.found.get("val") or self.found["train"].take(self.num_val))

    def test_dataloader(self) -> hf.Stream:
        return self._stream(self.found["test"])

    def _stream(self, rows: Any) -> hf.Stream:
        ranks = (self.trainer and self.trainer.distributed_sampler_kwargs) or {"rank": 0, "num_replicas": 1}
        shared = {"rank": ranks["rank"], "world_size": ranks["num_replicas"]}
        return hf.Stream(rows, self._make, self.batch_size, **shared)

    def _make(self, rows: dict[str, list[Any]]) -> VectorExample:
        features, target = (
            hf.numbers_of(rows, self.features),
            hf.classes_of(rows, self.target, self.class_names),
        )
        return VectorExample(features=features, target=target)
