"""Your own texts: columns of a table, or a folder for each class."""

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from ..engine.data import BatchedData, ExampleSet, divide_rows, shares_by_name
from ..engine.errors import InputError, check_least
from ..engine.texts import Corpus, Kind, TextSet, Tokenizer, read_corpus, read_tokens
from ..structs import DataDescription, TextExample

log = logging.getLogger(__name__)


class Texts(BatchedData):
    """Texts with a class each.

    The tokenizer is fitted on the training set, without what is held out, and kept in the checkpoint.
    Tokens are stored without padding, in two bytes each; a batch is as long as its longest text, and texts
    of similar length are batched together.

    Args:
        data_dir: A table (CSV, TSV, Parquet), or a folder with ``train.csv`` and others, or with
            ``[train/]<class>/*.txt``; see ``read_corpus``. A missing name is looked for next to this
            module, where ``syllables.csv.gz`` is.
        text: Column of the texts.
        label: Column of the classes.
        split: Column that says ``train``, ``val`` or ``test``; ``None`` is ``split``, if there is one.
        test_split: Share of the texts, or their number, that makes the test set if the files name no
            splits; 0 for none.
        tokenizer: ``characters``, for words and short texts; ``bpe``, frequent pieces of words, for others;
            ``words``, what stands between white space.
        vocab_size: Largest number of different tokens.
        lowercase: Convert capital letters to small ones.
        max_length: Tokens of a text; longer ones are cut, and counted in the log.
        stratify: Give each class its share in what is held out.
        **kwargs: See ``BatchedData``.

    Raises:
        InputError: The files cannot be used, or the package ``tokenizers`` is not installed.
    """

    def __init__(
        self,
        data_dir: str = "data",
        *,
        text: str = "text",
        label: str = "label",
        split: str | None = None,
        test_split: float = 0.1,
        tokenizer: Kind = "characters",
        vocab_size: int = 4000,
        lowercase: bool = False,
        max_length: int = 256,
        stratify: bool = True,
        **kwargs: Any,
    ) -> None:
        # Kept off the GPU: there each batch would wait for the length of its longest text.
        super().__init__(data_dir, stratify=stratify, keep_on_device=False, **kwargs)
        check_least(1, max_length=max_length)
        self.text, self.label, self.split, self.test_split = text, label, split, test_split
        self.tokenizer_kind: Kind = tokenizer
        self.vocab_size, self.lowercase, self.max_length = vocab_size, lowercase, max_length

    @cached_property
    def corpus(self) -> Corpus:
        """All texts as they were read."""
        path, own = Path(self.data_dir), Path(__file__).parent / self.data_dir
        path = own if not path.exists() and own.is_file() else path
        return read_corpus(path, self.text, self.label, self.split)

    @cached_property
    def targets(self) -> Tensor:
        """``(N,)`` int64 classes of all texts."""
        numbers = {name: number for number, name in enumerate(self.corpus.class_names)}
        return torch.tensor([numbers[label] for label in self.corpus.labels])

    @cached_property
    def parts(self) -> dict[str, dict[str, Tensor]]:
        """The ``(M,)`` int64 rows of each set, by its split and name."""
        splits = self.corpus.splits
        rows = torch.arange(len(self.corpus.texts))
        if splits:
            found = {name: torch.tensor([split == name for split in splits]) for name in set(splits)}
            found = {name: rows[is_in] for name, is_in in found.items()}
        else:
            found = self._divide(rows, {"test": self.test_split} if self.test_split else {})
        if "train" not in found:
            raise InputError(f"expected texts for training in {self.data_dir}, got {sorted(found)} alone")
        held_out = {"val": found["val"]} if "val" in found else {}
        if not held_out:
            held_out = self._divide(found["train"], shares_by_name(self.val_split))
            found["train"] = held_out.pop("train")
        tested = {"test": found["test"]} if "test" in found else {}
        return {"train": {"train": found["train"]}, "val": held_out, "test": tested}

    def _divide(self, rows: Tensor, shares: Mapping[str, float]) -> dict[str, Tensor]:
        labels = self.targets[rows] if self.stratify else None
        return divide_rows(rows, shares, self.seed, labels)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Fitted on the training part."""
        texts = [self.corpus.texts[row] for row in self.parts["train"]["train"].tolist()]
        return Tokenizer.fit(texts, self.tokenizer_kind, self.vocab_size, lowercase=self.lowercase)

    @cached_property
    def whole(self) -> TextSet:
        """All texts as tokens."""
        tokens = self.tokenizer.encode(self.corpus.texts, self.max_length)
        texts = TextSet(tokens, self.targets, TextExample)
        _log_size(texts, self.corpus, self.tokenizer)
        if tokens.num_cut:
            _warn(f"cut {tokens.num_cut} of {len(texts)} texts after max_length={self.max_length} tokens")
        return texts

    def load(self, split: str) -> dict[str, ExampleSet[Any]]:
        return {name: self.whole.subset(rows) for name, rows in self.parts[split].items()}

    def describe(self) -> DataDescription:
        names = tuple(self.corpus.class_names)
        extras = {
            "tokenizer": self.tokenizer.text,
            "vocabulary": self.tokenizer.vocabulary,
            "max_length": self.max_length,
            "text_column": self.text,
        }
        return DataDescription(num_outputs=len(names), class_names=names, extras=extras)

    @classmethod
    def read(
        cls, path: Path, data: DataDescription, **options: Any
    ) -> Iterator[tuple[dict[str, list[str]], TextExample]]:
        """For ``predict``: a ``.txt`` file with one text per line, a table, or a folder of such files."""
        if "tokenizer" not in data.extras:
            raise InputError("expected a model that was trained on Texts, got no tokenizer in its checkpoint")
        for columns, ids, mask in read_tokens(path, data.extras["text_column"], data.extras, **options):
            yield columns, TextExample(input_ids=ids, attention_mask=mask)


@rank_zero_only
def _log_size(texts: TextSet, corpus: Corpus, tokenizer: Tokenizer) -> None:
    lengths, counts = texts.tokens.lengths, texts.targets.bincount()  # pyright: ignore[reportOptionalMemberAccess]
    log.info(
        f"{len(texts):,} texts of {int(lengths.min())} to {int(lengths.max())} tokens "
        f"({len(tokenizer.vocabulary):,} different), {texts.nbytes / 1e6:.1f} MB in memory; "
        f"{counts.max() / len(texts):.1%} are {corpus.class_names[int(counts.argmax())]!r}, the largest class"
    )


_warn = rank_zero_only(log.warning)
