"""Sets of texts, stored without padding; a batch is as long as its longest text."""

import zlib
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from ..contracts import IGNORED, Example
from ..data.examples import SAMPLE, ExampleSet
from .tokens import Tokens


def pad(tokens: Tokens, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Some texts, padded to the longest of them.

    Args:
        tokens: The tokens of ``N`` texts.
        rows: ``(B,)`` int64 indices of texts, on the device of the tokens.

    Returns:
        ``(B, T)`` int64 tokens, 0 as padding, and ``(B, T)`` bool, true where there is a token. ``T`` is
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
    """A set of texts whose lengths differ: it stores their tokens without padding.

    Args:
        tokens: The tokens of ``N`` texts.
        target: ``(N, ...)``.
        make: The class of a batch, which takes ``input_ids``, ``attention_mask``, ``target``, ``index``.
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
        """All texts on ``device``, also those of other subsets; each batch waits for its length there."""
        moved = copy(self)
        moved.examples, moved.tokens = self.examples.to(device), self.tokens.to(device)
        moved.rows, moved.index = self.rows.to(device), self.index.to(device)
        return moved

    def fingerprint(self) -> str:
        return f"{super().fingerprint()}, tokens ({_checksum(self.tokens, self.rows):08x})"

    def __getitem__(self, positions: Sequence[int] | Tensor) -> Any:
        chosen = torch.as_tensor(positions, device=self.rows.device)
        rows = self.rows[chosen]
        input_ids, attention_mask = pad(self.tokens, rows)
        return self.make(
            input_ids=input_ids,
            attention_mask=attention_mask,
            target=self.target_of(rows),
            index=self.index[chosen],
        )

    def target_of(self, rows: Tensor) -> Tensor | None:
        """The targets of rows ``(B,)``; ``None`` if there are none."""
        target = self.examples.target
        return None if target is None else target[rows]


class PairSet(TextSet):
    """Texts whose targets are texts, too: ``(B, U)`` int64 tokens, then 0, then -100 up to the longest.

    Args:
        tokens: The tokens of ``N`` texts.
        written: The tokens of their ``N`` targets.
        make: See ``TextSet``.
    """

    def __init__(self, tokens: Tokens, written: Tokens, make: Callable[..., Example]) -> None:
        super().__init__(tokens, torch.zeros(len(tokens)), make)
        self.examples = Example(index=torch.arange(len(tokens)))
        self.written = written

    @property
    def nbytes(self) -> int:
        num_tokens = int(self.written.lengths[self.rows].sum())
        return super().nbytes + num_tokens * self.written.ids.itemsize + 8 * len(self)

    def to(self, device: torch.device) -> Self:
        moved = super().to(device)
        moved.written = self.written.to(device)
        return moved

    def fingerprint(self) -> str:
        return f"{super().fingerprint()}, targets ({_checksum(self.written, self.rows):08x})"

    def target_of(self, rows: Tensor) -> Tensor:
        ids, mask = pad(self.written, rows)
        is_counted = functional.pad(mask, (1, 0), value=True)  # the end, too
        return functional.pad(ids, (0, 1)).masked_fill_(~is_counted, IGNORED)


def _checksum(tokens: Tokens, rows: Tensor) -> int:
    """CRC-32 of the tokens of up to 256 texts."""
    chosen = torch.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).long()
    ids, _ = pad(tokens, rows[chosen])
    return zlib.crc32(ids.cpu().numpy().tobytes())
