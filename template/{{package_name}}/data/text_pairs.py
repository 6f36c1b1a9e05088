"""Texts whose targets are texts: translations, pronunciations, answers."""

import logging
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only

from ..engine.errors import InputError
from ..engine.texts import Kind, PairSet, Tokenizer, Tokens
from ..structs import DataDescription, TextExample
from .texts import Texts

log = logging.getLogger(__name__)
UNKNOWN_ID = 1  # of a tokenizer


class TextPairs(Texts):
    """Texts, each with a text to write: ``target``, ``(B, U)``, ends with 0 and then has -100.

    Each side has its own tokenizer, fitted on the training set. The names of classes are the
    tokens of the targets; ``extras`` has ``vocabulary``, that of the inputs, and ``target_length``, the most
    tokens of a target in training, with its end.

    Args:
        data_dir: See ``Texts``; of folders those with a table for each split.
        target: Column of the targets; they are never cut.
        target_tokenizer: ``words``, what stands between white space; ``characters``; ``bpe``.
        target_vocab_size: Largest number of different tokens in targets.
        **kwargs: See ``Texts``.

    Raises:
        InputError: See ``Texts``; or a token of a target in training is not among the largest number.
    """

    def __init__(
        self,
        data_dir: str = "data",
        *,
        target: str = "target",
        target_tokenizer: Kind = "words",
        target_vocab_size: int = 4000,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, label=target, stratify=False, **kwargs)
        self.target_kind: Kind = target_tokenizer
        self.target_vocab_size = target_vocab_size

    @cached_property
    def writer(self) -> Tokenizer:
        """Of the targets, fitted on the training part."""
        texts = [self.corpus.labels[row] for row in self.parts["train"]["train"].tolist()]
        return Tokenizer.fit(texts, self.target_kind, self.target_vocab_size)

    @cached_property
    def written(self) -> Tokens:
        """The targets of all texts."""
        tokens = self.writer.encode(self.corpus.labels, max(map(len, self.corpus.labels)) + 1)
        is_unknown = torch.zeros(len(tokens), dtype=torch.bool)
        owners = torch.repeat_interleave(torch.arange(len(tokens)), tokens.lengths)
        is_unknown[owners[tokens.ids == UNKNOWN_ID]] = True
        trained = self.parts["train"]["train"]
        if int(num := is_unknown[trained].sum()):
            first = self.corpus.labels[int(trained[is_unknown[trained]][0])]
            raise InputError(
                f"expected target_vocab_size to be enough for all tokens of the targets in training, got "
                f"{self.target_vocab_size}, too few for {num} of them, such as {first!r}; raise it"
            )
        if int(num := is_unknown.sum()):
            first = self.corpus.labels[int(is_unknown.nonzero()[0])]
            _warn(
                f"{num} targets of val or test have tokens that training has not, such as {first!r}: errors"
            )
        return tokens

    @cached_property
    def whole(self) -> PairSet:
        """All texts and their targets as tokens."""
        tokens = self.tokenizer.encode(self.corpus.texts, self.max_length)
        pairs = PairSet(tokens, self.written, TextExample)
        _say(
            f"{len(pairs):,} pairs of texts, of up to {int(tokens.lengths.max())} tokens "
            f"({len(self.tokenizer.vocabulary):,} different) and {int(self.written.lengths.max())} "
            f"({len(self.writer.vocabulary):,} different), {pairs.nbytes / 1e6:.1f} MB in memory"
        )
        if tokens.num_cut:
            _warn(f"cut {tokens.num_cut} of {len(pairs)} texts after max_length={self.max_length} tokens")
        return pairs

    def describe(self) -> DataDescription:
        longest = int(self.written.lengths[self.parts["train"]["train"]].max()) + 1
        known = super().describe()
        extras = {**known.extras, "target_tokenizer": self.writer.text, "target_length": longest}
        names = self.writer.vocabulary
        if self.target_kind == "words":
            names[UNKNOWN_ID] = f" {names[UNKNOWN_ID]}"  # as each word has a space before it
        return replace(known, num_outputs=None, class_names=tuple(names), extras=extras)


_say, _warn = rank_zero_only(log.info), rank_zero_only(log.warning)
