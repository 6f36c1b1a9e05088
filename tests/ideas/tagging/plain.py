"""The idea in plain Lightning."""

from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, random_split
from torchmetrics import Accuracy, MetricCollection

LETTERS = "_abcdefghijklmnopqrstuvwxyz"  # the first is padding


def collate(pairs):
    """A batch that is as long as its longest word."""
    words, tags = zip(*pairs, strict=True)
    return pad_sequence(words, batch_first=True), pad_sequence(tags, True, padding_value=-100)


class Words(LightningDataModule):
    """Lines of tags and a word."""

    def __init__(self, data_dir, batch_size=64):
        super().__init__()
        self.data_dir, self.batch_size = data_dir, batch_size

    def read(self, split):
        pairs = [line.split() for line in Path(self.data_dir, f"{split}.txt").read_text().splitlines()]
        words = [torch.tensor([LETTERS.index(letter) for letter in word]) for _, word in pairs]
        tags = [torch.tensor([int(tag) for tag in own]) for own, _ in pairs]
        return list(zip(words, tags, strict=True))

    def setup(self, stage):
        self.train, self.val = random_split(self.read("train"), [0.9, 0.1])
        self.test = self.read("test")

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True, collate_fn=collate)

    def val_dataloader(self):
        return DataLoader(self.val, self.batch_size, collate_fn=collate)

    def test_dataloader(self):
        return DataLoader(self.test, self.batch_size, collate_fn=collate)


class Tagger(LightningModule):
    """Tags each letter by a convolution over its neighbours."""

    def __init__(self, width=32):
        super().__init__()
        self.save_hyperparameters()
        self.letters = nn.Embedding(len(LETTERS), width, padding_idx=0)
        self.head = nn.Sequential(nn.Conv1d(width, width, 3, padding=1), nn.ReLU(), nn.Conv1d(width, 3, 1))
        metrics = MetricCollection(
            {"accuracy": Accuracy(task="multiclass", num_classes=3, ignore_index=-100)}
        )
        splits = {split: metrics.clone(prefix=f"{split}/") for split in ("train", "val", "test")}
        self.metrics = nn.ModuleDict({f"{split}_split": own for split, own in splits.items()})

    def forward(self, ids):
        return self.head(self.letters(ids).transpose(1, 2))

    def step(self, batch, split):
        ids, target = batch
        logits = self(ids)
        loss = nn.functional.cross_entropy(logits, target)
        self.metrics[f"{split}_split"].update(logits, target)
        self.log(f"{split}/loss", loss, on_step=split == "train", on_epoch=True, prog_bar=True)
        self.log_dict(self.metrics[f"{split}_split"], on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.step(batch, "val")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


if __name__ == "__main__":
    seed_everything(0)
    best = ModelCheckpoint(monitor="val/loss")
    trainer = Trainer(max_epochs=15, callbacks=[best], log_every_n_steps=5)
    trainer.fit(Tagger(), datamodule=Words("data/words"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
