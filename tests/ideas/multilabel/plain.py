"""The idea in plain Lightning."""

from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelAveragePrecision, MultilabelF1Score


class Tags(LightningDataModule):
    """Images with a row of labels each, in one file per split."""

    def __init__(self, data_dir, batch_size=64):
        super().__init__()
        self.data_dir, self.batch_size = data_dir, batch_size

    def read(self, split):
        return TensorDataset(*torch.load(Path(self.data_dir, f"{split}.pt")).values())

    def setup(self, stage):
        self.train, self.val = random_split(self.read("train"), [0.9, 0.1])
        self.test = self.read("test")

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test, self.batch_size)


class Net(nn.Sequential):
    """Looks for digits wherever they stand."""

    def __init__(self, width=48):
        super().__init__(
            *(nn.Conv2d(1, width // 2, 3, padding=1), nn.ReLU(), nn.Conv2d(width // 2, width, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Conv2d(width, width, 3), nn.ReLU()),
            *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width, 10)),
        )


class Model(LightningModule):
    """Trains the network."""

    def __init__(self, num_labels):
        super().__init__()
        self.save_hyperparameters()
        self.net = Net()
        metrics = MetricCollection(
            {
                "f1": MultilabelF1Score(num_labels=num_labels),
                "map": MultilabelAveragePrecision(num_labels=num_labels),
            }
        )
        splits = {split: metrics.clone(prefix=f"{split}/") for split in ("train", "val", "test")}
        self.metrics = nn.ModuleDict({f"{split}_split": own for split, own in splits.items()})

    def step(self, batch, split):
        image, target = batch
        logits = self.net(image / 255)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        self.metrics[f"{split}_split"].update(logits.sigmoid(), target.long())
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
        return torch.optim.Adam(self.parameters(), lr=0.005)


if __name__ == "__main__":
    seed_everything(0)
    best = ModelCheckpoint(monitor="val/loss")
    trainer = Trainer(max_epochs=6, callbacks=[best], log_every_n_steps=50)
    trainer.fit(Model(num_labels=10), datamodule=Tags("data/tags"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
