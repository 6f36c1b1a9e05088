"""From one sequence to another: an encoder, and a decoder that attends; see ``configs/examples``."""

from typing import Any

import torch
from torch import Tensor, nn

from ...structs import DataDescription


class SequenceEncoder(nn.Module):
    """Describes each token by those on both sides of it, ``(B, T, width)``; 0 where there is none."""

    def __init__(self, data: DataDescription, width: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(data.extras["vocabulary"]), width // 2)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(width // 2, width // 2, batch_first=True, bidirectional=True)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Of tokens ``(B, T)``; a text without tokens is read as one of padding."""
        lengths, x = attention_mask.sum(dim=1).clamp_min(1).cpu(), self.dropout(self.embedding(input_ids))
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        code, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], True, 0.0, input_ids.shape[1])
        return self.dropout(code)


class AttentionDecoder(nn.Module):
    """Writes tokens, each by the last one, by what it remembers, and by what it looks at in the code."""

    def __init__(self, data: DataDescription, width: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        self.max_length = data.extras["target_length"]
        self.embedding = nn.Embedding(len(data.class_names), width // 2)
        self.dropout = nn.Dropout(dropout)
        self.gru, self.query = nn.GRU(width // 2, width, batch_first=True), nn.Linear(width, width)
        self.head = nn.Sequential(
            nn.Linear(2 * width, width), nn.Tanh(), self.dropout, nn.Linear(width, len(data.class_names))
        )

    def forward(self, code: Tensor, attention_mask: Tensor, target: Tensor | None = None) -> Tensor:
        """With a target, logits ``(B, K, U)`` of each next token; else ``(B, V)``, none in training."""
        is_read = attention_mask[:, None] | (torch.arange(code.shape[1], device=code.device) == 0)
        token = torch.zeros(len(code), 1, dtype=torch.int64, device=code.device)  # 0 begins, and ends
        if target is not None:
            before = torch.cat([token, target[:, :-1].clamp_min(0)], dim=1)
            return self._next(before, None, code, is_read)[0].transpose(1, 2)
        tokens, state = [token[:, :0]], None
        for place in range(0 if self.training else self.max_length):
            logits, state = self._next(token, state, code, is_read)
            token = logits.argmax(dim=2) * ((token > 0) | (place == 0))  # nothing follows the end
            tokens.append(token)
            if not token.any():
                break
        return torch.cat(tokens, dim=1)

    def _next(self, tokens: Tensor, state: Any, code: Tensor, is_read: Tensor) -> tuple[Tensor, Any]:
        x, state = self.gru(self.dropout(self.embedding(tokens)), state)
        seen = nn.functional.scaled_dot_product_attention(self.query(x), code, code, attn_mask=is_read)
        return self.head(torch.cat([x, seen], dim=2)), state
