"""Raw texts as a trained model takes them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .files import read_batches
from .sets import pad
from .tokens import Tokenizer


def read_tokens(
    path: Path, column: str, known: Mapping[str, Any], **options: Any
) -> Iterator[tuple[dict[str, list[str]], Tensor, Tensor]]:
    """The texts of a file or folder, in the tokens of a model.

    Args:
        path: See ``read_batches``.
        column: Column of a table.
        known: ``tokenizer`` and ``max_length``, from ``extras`` of the model's data description.
        **options: See ``read_batches``.

    Yields:
        Columns to write, ``path`` and ``text``; ``(B, T)`` int64 tokens, and ``(B, T)`` bool, see ``pad``.

    Raises:
        InputError: There are no texts, or they cannot be read.
    """
    tokenizer = Tokenizer(known["tokenizer"])
    for names, texts in read_batches(path, column, **options):
        tokens = tokenizer.encode(texts, known["max_length"])
        yield {"path": names, "text": texts}, *pad(tokens, torch.arange(len(texts)))
