"""Sets of texts, stored without padding; a batch is as long as its longest."""

import zlib
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor

from ..contracts import Example
from ..data.examples import SAMPLE, ExampleSet
from .tokens import Tokens


def pad(tokens: Tokens, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Some texts, filled up to the longest of them.

    Args:
        tokens: Of ``N`` texts.
        rows: ``(B,)`` int64 texts, on the device of the tokens.

    Returns:
        ``(B, T)`` int64 tokens, 0 where there is none, and ``(B, T)`` bool, true where there is one. ``T`` is
        at least 1.
    """
    begin = tokens.offsets[rows]
    lengths = tokens.offsets[rows + 1] - begin
    longest = max(int(lengths.max()), 1) if len(rows) else 1
    places = torch.arange(longest, device=rows.device)
    mask = places < lengths[:, None]
    if not len(tokens.ids):
        return torch.zeros_like(mask, dtype=torch.int64), mask
    found = tokens.ids[(begin[:, None] + places).clamp_max(len(tokens.ids) - 1)].long()
    return found.masked_fill_(~mask, 0), mask


class TextSet(ExampleSet[Any]):
    """A set of texts whose lengths differ: it needs memory for the tokens alone.

    Args:
        tokens: Of ``N`` texts.
        target: ``(N, ...)``.
        make: The class of a batch: takes ``input_ids``, ``attention_mask``, ``target``, ``index``.
        rows: See ``ExampleSet``.
    """

    def __init__(
        self, tokens: Tokens, target: Tensor, make: Callable[..., Example], rows: Tensor | None = None
    ) -> None:
        super().__init__(Example(target=target), rows)
        self.tokens, self.make = tokens, make

    @property
    def lengths(self) -> Tensor:
        return self.tokens.lengths[self.rows]

    @property
    def nbytes(self) -> int:
        num_tokens = int(self.lengths.sum())
        return super().nbytes + num_tokens * self.tokens.ids.itemsize + 8 * len(self)

    def to(self, device: torch.device) -> Self:
        """All texts on ``device``, also those of other subsets; each batch waits there for its length."""
        moved = copy(self)
        moved.examples, moved.tokens = self.examples.to(device), self.tokens.to(device)
        moved.rows, moved.index = self.rows.to(device), self.index.to(device)
        return moved

    def fingerprint(self) -> str:
        chosen = torch.linspace(0, len(self) - 1, min(len(self), SAMPLE)).long()
        tokens, _ = pad(self.tokens, self.rows[chosen])
        checksum = zlib.crc32(tokens.cpu().numpy().tobytes())
        return f"{super().fingerprint()}, tokens ({checksum:08x})"

    def __getitem__(self, positions: Sequence[int] | Tensor) -> Any:
        chosen = torch.as_tensor(positions, device=self.rows.device)
        rows = self.rows[chosen]
        input_ids, attention_mask = pad(self.tokens, rows)
        target = self.examples.target
        return self.make(
            input_ids=input_ids,
            attention_mask=attention_mask,
            target=None if target is None else target[rows],
            index=self.index[chosen],
        )
