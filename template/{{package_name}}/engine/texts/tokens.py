"""Texts as numbers: a tokenizer that is fitted, stored as a plain string, and restored from it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, check_least

Kind = Literal["characters", "bpe", "words"]
PAD, UNKNOWN = "[PAD]", "[UNK]"  # tokens 0 and 1
PATTERNS = {"characters": r"[\s\S]", "words": r" \S+"}
PIECES = r" ?\w+| ?[^\w\s]+|\s+"  # BPE never joins these: words with the space before, marks, other space
CHUNK = 4096  # texts encoded at a time: the library's objects take a hundred times the memory of tokens


@dataclass(frozen=True)
class Tokens:
    """The tokens of ``N`` texts, one after the other.

    Attributes:
        ids: ``(M,)`` int16, or int32 where there are more than 32,768 different tokens.
        offsets: ``(N + 1,)`` int64: where each text begins, and where the last one ends.
        num_cut: Number of texts that were longer than allowed.
    """

    ids: Tensor
    offsets: Tensor
    num_cut: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Tensor:
        """``(N,)`` int64 numbers of tokens."""
        return self.offsets.diff()

    def to(self, device: torch.device) -> "Tokens":
        """The same on ``device``."""
        return Tokens(self.ids.to(device), self.offsets.to(device), self.num_cut)


class Tokenizer:
    """Cuts texts into tokens.

    Args:
        text: The ``text`` of another one: its JSON, as the library ``tokenizers`` writes it.

    Raises:
        InputError: The library is not installed, or cannot read ``text``.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._own = library().Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing more specific
            raise InputError(f"expected a tokenizer as JSON, got {text[:40]!r}: {error}") from error
        self._own.encode_special_tokens = True  # a text that has "[PAD]" in it means these five characters

    @classmethod
    def fit(cls, texts: Sequence[str], kind: Kind, vocab_size: int, *, lowercase: bool = False) -> Self:
        """Learn the tokens of some texts; the same texts give the same tokenizer.

        Args:
            texts: Those of the training part.
            kind: ``characters``; ``bpe``, byte pair encoding of characters: frequent pieces of words; or
                ``words``, separated by white space, each token with one space before it.
            vocab_size: Largest number of different tokens, those for padding and unknown ones included.
            lowercase: Turn capital letters into small ones.

        Raises:
            InputError: The library is not installed, or ``vocab_size`` is below 3.
        """
        check_least(3, vocab_size=vocab_size)
        lib = library()
        specials = [PAD, UNKNOWN]
        steps = [lib.normalizers.NFC(), *([lib.normalizers.Lowercase()] if lowercase else [])]
        if kind in PATTERNS:
            own = lib.Tokenizer(lib.models.WordLevel(unk_token=UNKNOWN))
            pattern = PATTERNS[kind]
            steps += _single_spaces(lib) if kind == "words" else []
            trainer = lib.trainers.WordLevelTrainer(
                vocab_size=vocab_size, special_tokens=specials, show_progress=False
            )
        else:
            own = lib.Tokenizer(lib.models.BPE(unk_token=UNKNOWN))
            pattern = PIECES
            trainer = lib.trainers.BpeTrainer(
                vocab_size=vocab_size,
                special_tokens=specials,
                show_progress=False,
                limit_alphabet=max(1, vocab_size // 2),
            )
        own.normalizer = lib.normalizers.Sequence(steps)
        own.pre_tokenizer = lib.pre_tokenizers.Split(lib.Regex(pattern), "isolated")
        own.train_from_iterator(texts, trainer)
        return cls(own.to_str())

    @property
    def vocabulary(self) -> list[str]:
        """The tokens in the order of their numbers; joined, they read as the text."""
        numbers = self._own.get_vocab()
        return sorted(numbers, key=numbers.__getitem__)

    def encode(self, texts: Sequence[str], max_length: int) -> Tokens:
        """The first ``max_length`` tokens of each text."""
        dtype = np.int16 if self._own.get_vocab_size() <= 2**15 else np.int32
        parts, lengths, num_cut = [], [], 0
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            rows = [one.ids for one in self._own.encode_batch_fast(chunk, add_special_tokens=False)]
            num_cut += sum(len(row) > max_length for row in rows)
            rows = [row[:max_length] for row in rows]
            lengths += map(len, rows)
            parts.append(np.fromiter(chain.from_iterable(rows), dtype))
        ids = np.concatenate(parts) if parts else np.empty(0, dtype)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return Tokens(torch.from_numpy(ids), torch.from_numpy(offsets), num_cut)


def _single_spaces(lib: Any) -> list[Any]:
    """Steps that put one space before each word, and none elsewhere."""
    spaces = lib.normalizers.Replace(lib.Regex(r"\s+"), " ")
    return [spaces, lib.normalizers.Strip(), lib.normalizers.Prepend(" ")]


def library() -> Any:
    """The package ``tokenizers``, which only projects on texts have.

    Raises:
        InputError: It is not installed.
    """
    # It would warn of its threads when workers start; they are used before, and workers tokenize nothing.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        import tokenizers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "texts need the package tokenizers, which is not installed; add it to the dependencies in "
            "pyproject.toml, and run make init"
        ) from error
    return tokenizers
