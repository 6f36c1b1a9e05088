"""The idea in plain Lightning."""

from pathlib import Path

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split
from torchmetrics import JaccardIndex, MetricCollection
from torchvision.transforms.functional import crop, hflip, pad


class Augmented(Dataset):
    """Moves and flips an image and its mask alike."""

    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, row):
        pair = self.examples[row]
        y, x = torch.randint(5, (2,)).tolist()
        is_flipped = torch.rand(()) < 0.5
        moved = [crop(pad(each, 2), y, x, *each.shape[-2:]) for each in pair]
        return tuple(hflip(each) if is_flipped else each for each in moved)


class Shapes(LightningDataModule):
    """Images and masks, in one file per split."""

    def __init__(self, data_dir, batch_size=32):
        super().__init__()
        self.data_dir, self.batch_size = data_dir, batch_size

    def read(self, split):
        return TensorDataset(*torch.load(Path(self.data_dir, f"{split}.pt")).values())

    def setup(self, stage):
        train, self.val = random_split(self.read("train"), [0.9, 0.1])
        self.train, self.test = Augmented(train), self.read("test")

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.test, self.batch_size)


class UNet(LightningModule):
    """One level down and up again."""

    def __init__(self, num_classes, width=16):
        super().__init__()
        self.save_hyperparameters()
        self.down = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.up = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2))
        self.head = nn.Conv2d(width + 3, num_classes, 3, padding=1)
        metrics = MetricCollection({"miou": JaccardIndex(task="multiclass", num_classes=num_classes)})
        splits = {split: metrics.clone(prefix=f"{split}/") for split in ("train", "val", "test")}
        self.metrics = nn.ModuleDict({f"{split}_split": own for split, own in splits.items()})

    def forward(self, image):
        image = image / 255
        return self.head(torch.cat([self.up(self.down(image)), image], dim=1))

    def step(self, batch, split):
        image, target = batch
        logits = self(image)
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
    trainer = Trainer(max_epochs=8, callbacks=[best], log_every_n_steps=50)
    trainer.fit(UNet(num_classes=3), datamodule=Shapes("data/shapes"))
    trainer.test(ckpt_path="best", datamodule=trainer.datamodule)
