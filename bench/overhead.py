"""(b) The cost of a step when the model costs almost nothing."""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from .project import fit_on_fakes, size
from .ratio import Ratio
from .turns import Lap, alternate, lap

BATCH_SIZE, NUM_CLASSES = 128, 4
EPOCH = size(371, smoke=4)  # steps, as many as an epoch of configs/image_folder.yaml on CIFAR-10
NUM_IMAGES = EPOCH * BATCH_SIZE
NUM_ROUNDS = size(9, smoke=1)
LR = 0.01


def measure() -> list[Ratio]:
    """Seconds of one CPU per step, over whole epochs, so that occasional work is included."""
    costs = alternate({"ours": step_ours, "bare": step_bare, "raw": step_raw}, num_turns=NUM_ROUNDS)
    ours, bare, raw = ([cost.cpu_s for cost in costs[name]] for name in ("ours", "bare", "raw"))
    absolute = [f"{1e6 * median(values):,.0f}" for values in (ours, bare, raw)]
    triples = list(zip(ours, bare, raw, strict=True))
    return [
        Ratio(
            name="(b) step of a micro model, everything on / bare Lightning",
            values=[a / b for a, b, _ in triples],
            at_most=1.5,
            note=f"{absolute[0]} / {absolute[1]} us",
        ),
        Ratio(
            name="(b) the same less the step of a raw loop, both sides",
            values=[(a - c) / (b - c) for a, b, c in triples],
            note=f"raw loop {absolute[2]} us",
        ),
    ]


def step_ours() -> None:
    """``fit`` with logger, bar, metrics, checkpoints and schedule."""
    from my_project.__main__ import main

    main(
        [
            "fit",
            "--model=bench.networks.Micro",
            "--model.optimizer=torch.optim.SGD",
            f"--model.optimizer.lr={LR}",
            "--model.optimizer.fused=true",
            "--model.lr_scheduler=torch.optim.lr_scheduler.OneCycleLR",
            f"--model.lr_scheduler.max_lr={LR}",
            *fit_on_fakes((3, 16, 16), NUM_CLASSES, BATCH_SIZE, EPOCH, NUM_ROUNDS + 2),
        ]
    )


class Bare(LightningModule):
    """The least that Lightning needs."""

    def __init__(self) -> None:
        super().__init__()
        from .networks import make_micro

        self.net = make_micro(NUM_CLASSES)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        from .networks import scale

        image, target = batch
        return cross_entropy(self.net(scale(image)), target)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=LR, fused=True)


def step_bare() -> None:
    """Lightning without logger, bar, checkpoints or callbacks other than the clock."""
    train_bare(Bare(), make_loader())


def train_bare(model: LightningModule, loader: DataLoader) -> None:
    """Train by a Trainer with no callback but the clock, on one thread."""
    torch.set_num_threads(1)
    trainer = Trainer(
        max_epochs=NUM_ROUNDS + 2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Lap(EPOCH)],
    )
    trainer.fit(model, loader)


def step_raw() -> None:
    """A loop by hand."""
    torch.set_num_threads(1)
    model, loader, num_done = Bare(), make_loader(), 0
    optimizer = model.configure_optimizers()
    while True:
        lap(num_done)
        for batch in loader:
            loss = model.training_step(batch, 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            num_done += 1


class Batches(Dataset):
    """A dataset of tensors that is indexed by whole batches."""

    def __init__(self) -> None:
        self.images = torch.randint(0, 256, (NUM_IMAGES, 3, 16, 16), dtype=torch.uint8)
        self.targets = torch.randint(0, NUM_CLASSES, (NUM_IMAGES,))

    def __len__(self) -> int:
        return NUM_IMAGES

    def __getitem__(self, positions: list[int]) -> tuple[Tensor, Tensor]:
        rows = torch.as_tensor(positions)
        return self.images.index_select(0, rows), self.targets[rows]


def make_loader(collate: Callable[[Any], Any] | None = None) -> DataLoader:
    """Whole batches of made-up images; ``collate`` changes each."""
    dataset = Batches()
    batches = BatchSampler(RandomSampler(dataset), BATCH_SIZE, drop_last=False)
    return DataLoader(dataset, sampler=batches, batch_size=None, collate_fn=collate or _as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch
