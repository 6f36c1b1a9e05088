"""Texts: read from files, cut into tokens by a tokenizer that is a plain string, kept without padding."""

from .files import Corpus, read_batches, read_corpus
from .predicting import read_tokens
from .sets import PairSet, TextSet, pad
from .tokens import Kind, Tokenizer, Tokens

__all__ = [
    "Corpus",
    "Kind",
    "PairSet",
    "TextSet",
    "Tokenizer",
    "Tokens",
    "pad",
    "read_batches",
    "read_corpus",
    "read_tokens",
]
