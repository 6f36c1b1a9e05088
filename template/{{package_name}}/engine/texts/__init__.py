"""Texts: read from files, cut into tokens by a tokenizer that is a plain string, kept without padding."""

from .files import Corpus, read_batches, read_corpus
from .predicting import read_tokens
from .sets import TextSet, pad
from .tokens import Kind, Tokenizer

__all__ = ["Corpus", "Kind", "TextSet", "Tokenizer", "pad", "read_batches", "read_corpus", "read_tokens"]
