"""The idea in plain Lightning."""

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio


class Digits(LightningDataModule):
    """The handwritten digits, 8 x 8 pixels in [0, 1]."""

    def __init__(self, path, batch_size=64):
        super().__init__()
        self.path, self.batch_size = path, batch_size

    def setup(self, stage):
        with np.load(self.path) as file:
            images = torch.from_numpy(file["images"]).float().view(-1, 1, 8, 8) / 16
        parts = random_split(TensorDataset(images), [0.72, 0.08, 0.2], torch.Generator().manual_seed(0))
        self.train, self.val, self.test = parts

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test, self.batch_size)


class Autoencoder(LightningModule):
    """Two layers down to the bottleneck, and two layers back."""

    def __init__(self, width=64, code=16):
        super().__init__()
        self.save_hyperparameters()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, code))
        self.decoder = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid())
        metrics = MetricCollection({"psnr": PeakSignalNoiseRatio(data_range=1.0)})
        splits = {split: metrics.clone(prefix=f"{split}/") for split in ("train", "val", "test")}
        self.metrics = nn.ModuleDict({f"{split}_split": own for split, own in splits.items()})

    def forward(self, image):
        return self.decoder(self.encoder(image)).view_as(image)

    def step(self, batch, split):
        (image,) = batch
        reconstruction = self(image)
        loss = nn.functional.mse_loss(reconstruction, image)
        self.metrics[f"{split}_split"].update(reconstruction, image)
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
    trainer = Trainer(max_epochs=15, callbacks=[best], log_every_n_steps=50)
    trainer.fit(Autoencoder(), datamodule=Digits("data/digits.npz"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
