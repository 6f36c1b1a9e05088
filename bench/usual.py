"""(d) The project against the way of the usual template, on a small model."""

from importlib.util import find_spec
from statistics import median

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar, TQDMProgressBar
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics import MeanMetric
from torchmetrics.classification import Accuracy
from torchvision import transforms

from .project import RUNS, fit_on_fakes, size
from .ratio import Ratio
from .turns import Lap, alternate

BATCH_SIZE, NUM_CLASSES, LR = 128, 10, 1e-3
EPOCH = size(430, smoke=4)  # steps, as on MNIST; ours are measured with the epoch's end, theirs without
NUM_IMAGES = EPOCH * BATCH_SIZE
NUM_ROUNDS, THEIR_BLOCK = size(9, smoke=2), size(20, smoke=2)
HAS_RICH = find_spec("rich") is not None


def measure() -> list[Ratio]:
    """Steps per second of one CPU."""
    costs = alternate({"ours": train_ours, "usual": train_usual}, NUM_ROUNDS)
    ours, usual = ([cost.cpu_s for cost in costs[name]] for name in ("ours", "usual"))
    bar = "rich" if HAS_RICH else "tqdm"
    return [
        Ratio(
            name="(d) small model, everything on / the usual template's way, steps per CPU second",
            values=[b / a for a, b in zip(ours, usual, strict=True)],
            at_least=5,
            note=f"{1 / median(ours):,.0f} / {1 / median(usual):,.0f} steps/s, their bar is {bar}",
        )
    ]


def train_ours() -> None:
    """``fit`` with logger, bar, metrics and checkpoints."""
    from my_project.__main__ import main

    main(
        [
            "fit",
            "--model=bench.networks.Dense",
            "--model.optimizer=torch.optim.Adam",
            f"--model.optimizer.lr={LR}",
            "--model.optimizer.fused=true",
            *fit_on_fakes((1, 28, 28), NUM_CLASSES, BATCH_SIZE, EPOCH, NUM_ROUNDS + 2),
        ]
    )


class Usual(LightningModule):
    """Metric objects called and logged in each step."""

    def __init__(self) -> None:
        super().__init__()
        from .networks import make_dense

        self.net, self.criterion = make_dense(NUM_CLASSES), nn.CrossEntropyLoss()
        self.train_loss = MeanMetric()
        self.train_acc = Accuracy(task="multiclass", num_classes=NUM_CLASSES)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        image, target = batch
        logits = self.net(image)
        loss = self.criterion(logits, target)
        self.train_loss(loss)
        self.train_acc(logits.argmax(dim=1), target)
        self.log("train/loss", self.train_loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_acc, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LR)


class Digits(Dataset):
    """One Pillow image at a time, as torchvision's MNIST gives them."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.images = torch.from_numpy(random.integers(0, 256, (NUM_IMAGES, 28, 28), dtype=np.uint8))
        self.targets = torch.from_numpy(random.integers(0, NUM_CLASSES, NUM_IMAGES))
        steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return NUM_IMAGES

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[row].numpy())), int(self.targets[row])


def train_usual() -> None:
    """Lightning with a CSV logger, checkpoints and a rich bar."""
    torch.set_num_threads(1)
    bar = RichProgressBar() if HAS_RICH else TQDMProgressBar()
    trainer = Trainer(
        max_epochs=1 + NUM_ROUNDS * THEIR_BLOCK // EPOCH,
        default_root_dir=RUNS,
        logger=CSVLogger(RUNS, name="usual"),
        callbacks=[bar, ModelCheckpoint(), Lap(THEIR_BLOCK)],
    )
    trainer.fit(Usual(), DataLoader(Digits(), BATCH_SIZE, shuffle=True, num_workers=0))
