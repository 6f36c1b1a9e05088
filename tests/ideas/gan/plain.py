"""The idea in plain Lightning."""

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset, random_split


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


class GAN(LightningModule):
    """A generator and a critic."""

    def __init__(self, width=128):
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid())
        self.critic = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
        )

    def forward(self, num_images):
        return self.generator(torch.randn(num_images, 16, device=self.device)).view(-1, 1, 8, 8)

    def losses(self, image, split):
        fake = self(len(image))
        generator = softplus(-self.critic(fake)).mean()
        critic = (softplus(-self.critic(image)) + softplus(self.critic(fake.detach()))).mean()
        losses = {f"{split}/loss_generator": generator, f"{split}/loss_critic": critic}
        self.log_dict(losses, on_step=split == "train", on_epoch=True, prog_bar=True)
        return generator, critic

    def training_step(self, batch, batch_idx):
        losses = self.losses(batch[0], "train")
        optimizers = self.optimizers()
        own = self.generator, self.critic
        for loss, optimizer, part in zip(losses, optimizers, own, strict=True):
            optimizer.zero_grad()
            self.manual_backward(loss, inputs=list(part.parameters()), retain_graph=part is self.generator)
        for optimizer in optimizers:
            optimizer.step()

    def validation_step(self, batch, batch_idx):
        self.losses(batch[0], "val")

    def test_step(self, batch, batch_idx):
        self.losses(batch[0], "test")

    def configure_optimizers(self):
        parts = self.generator, self.critic
        return [torch.optim.Adam(part.parameters(), lr=0.001, betas=(0.5, 0.99)) for part in parts]


if __name__ == "__main__":
    seed_everything(0)
    trainer = Trainer(max_epochs=24, callbacks=[ModelCheckpoint()], log_every_n_steps=10)
    trainer.fit(GAN(), datamodule=Digits("data/digits.npz"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
