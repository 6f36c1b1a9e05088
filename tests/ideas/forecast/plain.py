"""The idea in plain Lightning."""

from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanAbsoluteError, MetricCollection, R2Score

PAST, NEXT = 24, 4


class Series(LightningDataModule):
    """Windows of a series; those for validation and test are later than those for training."""

    def __init__(self, data_dir, batch_size=64):
        super().__init__()
        self.data_dir, self.batch_size = data_dir, batch_size

    def setup(self, stage):
        lines = Path(self.data_dir, "series.csv").read_text().splitlines()[1:]
        values = torch.tensor([float(line) for line in lines])
        train, val = round(0.7 * len(values)), round(0.85 * len(values))
        parts = values[:train], values[train:val], values[val:]
        windows = [part.unfold(0, PAST + NEXT, 1) for part in parts]
        self.sets = [TensorDataset(part[:, :PAST], part[:, PAST:]) for part in windows]

    def train_dataloader(self):
        return DataLoader(self.sets[0], self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.sets[1], self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.sets[2], self.batch_size)


class Forecaster(LightningModule):
    """Two layers."""

    def __init__(self, width=64):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(PAST, width), nn.ReLU(), nn.Linear(width, NEXT))
        metrics = MetricCollection({"mae": MeanAbsoluteError(), "r2": R2Score()})
        splits = {split: metrics.clone(prefix=f"{split}/") for split in ("train", "val", "test")}
        self.metrics = nn.ModuleDict({f"{split}_split": own for split, own in splits.items()})

    def step(self, batch, split):
        features, target = batch
        values = self.net(features)
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
        return torch.optim.Adam(self.parameters(), lr=0.003)


if __name__ == "__main__":
    seed_everything(0)
    best = ModelCheckpoint(monitor="val/loss")
    trainer = Trainer(max_epochs=20, callbacks=[best], log_every_n_steps=5)
    trainer.fit(Forecaster(), datamodule=Series("data/series"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
