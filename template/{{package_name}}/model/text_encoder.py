"""A small network for texts: convolutions over tokens, then the mean and the maximum of what they find."""

from typing import Any

import torch
from torch import Tensor, nn

from ..engine.errors import check_least
from ..structs import DataDescription, MulticlassPrediction, TextExample
from .base import BaseModel


class TextEncoder(BaseModel):
    """Residual convolutions over the tokens; each sees two more to the left and to the right.

    That spans a word or its neighbours: 8 tokens on either side with four blocks. It cannot relate tokens
    further apart, and need not to tell which sounds, words or turns of phrase occur.

    Args:
        data: Of ``Texts``: numbers of classes and of tokens.
        width: Numbers that describe each token.
        depth: Number of blocks.
        dropout: Share of units dropped in training.
        **kwargs: See ``BaseModel``.
    """

    def __init__(
        self,
        *,
        data: DataDescription,
        width: int = 96,
        depth: int = 4,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        check_least(1, width=width)
        check_least(0, depth=depth)
        super().__init__(data=data, **kwargs)
        self.embedding = nn.Embedding(len(data.extras["vocabulary"]), width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(width, dropout) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(2 * width, data.num_outputs or 2)

    def forward(self, example: TextExample) -> MulticlassPrediction:
        is_token = example.attention_mask[..., None]
        x = self.dropout(self.embedding(example.input_ids))
        for block in self.blocks:
            x = block(x, is_token)
        x = self.norm(x)
        mean = (x * is_token).sum(dim=1) / is_token.sum(dim=1).clamp_min(1)
        lowest = torch.finfo(x.dtype).min
        largest = x.masked_fill(~is_token, lowest).amax(dim=1)
        largest = largest.where(is_token.any(dim=1), 0)  # of a text without tokens
        return MulticlassPrediction(logits=self.head(torch.cat([mean, largest], dim=1)))


class Block(nn.Module):
    """Adds to each token what its neighbours say; padding says nothing."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel_size=5, padding=2)
        self.body = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.Dropout(dropout))

    def forward(self, x: Tensor, is_token: Tensor) -> Tensor:
        """``(B, T, width)`` from the same, where ``is_token`` is ``(B, T, 1)`` bool."""
        found = self.conv((self.norm(x) * is_token).transpose(1, 2)).transpose(1, 2)
        return x + self.body(found)
