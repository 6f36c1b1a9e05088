"""Is a word more of vowels or of consonants? Words of any length, in a text file."""

from pathlib import Path

import torch
from my_project.data import BatchedData
from my_project.model import BaseModel
from my_project.structs import DataDescription, MulticlassPrediction, TextExample
from torch import nn
from torch.nn.utils.rnn import pad_sequence

LETTERS = "_abcdefghijklmnopqrstuvwxyz"  # the first fills up


class Words(BatchedData):
    """Lines of a class and a word; a batch is cut to its longest word."""

    def load(self, split: str) -> TextExample | None:
        path = Path(self.data_dir, f"{split}.txt")
        if not path.is_file():
            return None
        pairs = [line.split() for line in path.read_text().splitlines()]
        words = [torch.tensor([LETTERS.index(letter) for letter in word]) for _, word in pairs]
        ids = pad_sequence(words, batch_first=True)
        targets = torch.tensor([int(label) for label, _ in pairs])
        return TextExample(input_ids=ids, attention_mask=ids > 0, target=targets)

    def describe(self) -> DataDescription:
        return DataDescription(num_outputs=2, extras={"vocabulary": list(LETTERS)})

    def on_after_batch_transfer(self, batch: TextExample, dataloader_idx: int) -> TextExample:
        longest = int(batch.attention_mask.sum(dim=1).max())
        ids, mask = batch.input_ids[:, :longest], batch.attention_mask[:, :longest]
        return TextExample(input_ids=ids, attention_mask=mask, target=batch.target, index=batch.index)


class Reader(BaseModel):
    """The mean of what a convolution finds in the letters."""

    def __init__(self, *, data: DataDescription, width: int = 32, **kwargs) -> None:
        super().__init__(data=data, **kwargs)
        self.letters = nn.Embedding(len(data.extras["vocabulary"]), width, padding_idx=0)
        self.head = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.Conv1d(width, 2, 1))

    def forward(self, example: TextExample) -> MulticlassPrediction:
        found = self.head(self.letters(example.input_ids).transpose(1, 2))
        mask = example.attention_mask[:, None]
        return MulticlassPrediction(logits=(found * mask).sum(dim=2) / mask.sum(dim=2))
