"""Vowels of words, and which of them stand between consonants: a class for each letter."""

from pathlib import Path

import torch
from my_project.data import BatchedData
from my_project.model import BaseModel
from my_project.structs import DataDescription, MulticlassPrediction, TextExample
from torch import nn
from torch.nn.utils.rnn import pad_sequence

LETTERS = "_abcdefghijklmnopqrstuvwxyz"  # the first is padding
TAGS = ("consonant", "vowel", "vowel between consonants")


class Words(BatchedData):
    """Lines of tags and a word; a batch is cut to its longest word."""

    def load(self, split: str) -> TextExample | None:
        path = Path(self.data_dir, f"{split}.txt")
        if not path.is_file():
            return None
        pairs = [line.split() for line in path.read_text().splitlines()]
        words = [torch.tensor([LETTERS.index(letter) for letter in word]) for _, word in pairs]
        tags = [torch.tensor([int(tag) for tag in own]) for own, _ in pairs]
        ids, target = pad_sequence(words, batch_first=True), pad_sequence(tags, True, padding_value=-100)
        return TextExample(input_ids=ids, attention_mask=ids > 0, target=target)

    def describe(self) -> DataDescription:
        return DataDescription(num_outputs=3, class_names=TAGS, extras={"vocabulary": list(LETTERS)})

    def on_after_batch_transfer(self, batch: TextExample, dataloader_idx: int) -> TextExample:
        longest = int(batch.attention_mask.sum(dim=1).max())
        cut = {name: batch.tensors[name][:, :longest] for name in ("input_ids", "attention_mask", "target")}
        return TextExample(**cut, index=batch.index)


class Tagger(BaseModel):
    """Tags each letter by a convolution over its neighbours."""

    def __init__(self, *, data: DataDescription, width: int = 32, **kwargs) -> None:
        super().__init__(data=data, **kwargs)
        self.letters = nn.Embedding(len(data.extras["vocabulary"]), width, padding_idx=0)
        self.head = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.Conv1d(width, 3, 1))

    def forward(self, example: TextExample) -> MulticlassPrediction:
        return MulticlassPrediction(logits=self.head(self.letters(example.input_ids).transpose(1, 2)))
