"""The idea in plain Lightning."""

import csv
from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchmetrics import MeanAbsoluteError, MetricCollection, R2Score


class Table(LightningDataModule):
    """Rows of numbers; the last column is the target."""

    def __init__(self, data_dir, batch_size=32):
        super().__init__()
        self.data_dir, self.batch_size = data_dir, batch_size

    def read(self, split):
        cells = list(csv.reader(Path(self.data_dir, f"{split}.csv").read_text().splitlines()))[1:]
        rows = torch.tensor([[float(cell) for cell in row] for row in cells])
        return TensorDataset(rows[:, :-1], rows[:, -1])

    def setup(self, stage):
        self.train, self.val = random_split(self.read("train"), [0.9, 0.1])
        self.test = self.read("test")

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test, self.batch_size)


class MLP(LightningModule):
    """Two layers."""

    def __init__(self, num_features, width=64):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(num_features, width), nn.ReLU(), nn.Linear(width, 1))
        metrics = MetricCollection({"mae": MeanAbsoluteError(), "r2": R2Score()})
        splits = {split: metrics.clone(prefix=f"{split}/") for split in ("train", "val", "test")}
        self.metrics = nn.ModuleDict({f"{split}_split": own for split, own in splits.items()})

    def step(self, batch, split):
        features, target = batch
        values = self.net(features).squeeze(1)
        loss = nn.functional.mse_loss(values, target) / 2
        self.metrics[f"{split}_split"].update(values, target)
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
    trainer = Trainer(max_epochs=20, callbacks=[best], log_every_n_steps=5)
    trainer.fit(MLP(num_features=5), datamodule=Table("data/table"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
