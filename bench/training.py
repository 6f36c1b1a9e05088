"""(a) Training with everything switched on against hand-written loops on the same network."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from .project import HOME, RUNS, find_photos, size
from .ratio import Ratio, quiet_cost, quiet_ratios
from .turns import alternate, lap

BATCH_SIZE, LR = 128, 0.2
# Steps of an epoch; its end, with metrics and two checkpoints, weighs four times what it does in practice.
EPOCH = size(100, smoke=2)
NUM_EPOCHS = size(6, smoke=2)
# Steps of a block: half a second or less, so that many blocks are undisturbed.
BLOCK, NAIVE_BLOCK = size(10, smoke=1), size(3, smoke=1)
PERIOD = EPOCH // BLOCK


def measure() -> list[Ratio]:
    """Training images per second of the whole path from stored pixels to updated weights."""
    photos, what = find_photos()
    num_steps = EPOCH * (NUM_EPOCHS + 2)
    costs = alternate(
        {
            "ours": partial(train_ours, photos),
            "tuned": partial(train_tuned, photos, num_steps),
            "naive": partial(train_naive, photos, num_steps),
        },
        num_turns=PERIOD * NUM_EPOCHS,
    )
    times = {name: [cost.wall_s for cost in blocks] for name, blocks in costs.items()}
    quiet = {name: quiet_cost(blocks, PERIOD) for name, blocks in times.items()}
    speed = {name: f"{BATCH_SIZE / cost:,.0f}" for name, cost in quiet.items()}
    return [
        Ratio(
            name=f"(a) training, everything on / {name} loop, speed",
            values=quiet_ratios(times[name], times["ours"], PERIOD),
            value=quiet[name] / quiet["ours"],
            at_least=target,
            note=f"{speed['ours']} / {speed[name]} images/s, {what}",
        )
        for name, target in (("tuned", 0.93), ("naive", 1.8))
    ]


def train_ours(photos: Path) -> None:
    """``fit`` as the config has it: logger, checkpoints, metrics, augmentation, schedule, bar."""
    from my_project.__main__ import main

    main(
        [
            "fit",
            f"--config={HOME / 'configs' / 'image_folder.yaml'}",
            f"--data.init_args.data_dir={photos}",
            f"--trainer.default_root_dir={RUNS}",
            f"--trainer.max_epochs={NUM_EPOCHS + 2}",
            f"--trainer.limit_train_batches={EPOCH}",
            "--trainer.limit_val_batches=0",  # the loops do not validate either
            "--checkpoint.monitor=train/accuracy",
            "--test_after_fit=false",
            "--trainer.callbacks+=bench.turns.Lap",
            f"--trainer.callbacks.every={BLOCK}",
        ]
    )


def train_tuned(photos: Path, num_steps: int) -> None:
    """A loop by hand with the same network, the same batched data path and the same memory settings."""
    from my_project.data import Augment
    from my_project.data.image_folder import ImageFolder
    from my_project.engine.cli.memory import keep_memory

    keep_memory()
    model, optimizer, scheduler = _model(num_steps)
    data = ImageFolder(str(photos), val_split=0.05)
    data.setup("fit")
    model.normalize.set_statistics(*data.statistics())
    train, augment = data.train_set, Augment(padding=2, flip=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    for epoch in range(num_steps):
        total = torch.zeros(())
        order = torch.randperm(len(train))
        for step, positions in enumerate(order.split(BATCH_SIZE)[:EPOCH]):
            if step % BLOCK == 0:
                lap(epoch * EPOCH + step)
            batch = augment(train[positions], seed=0, epoch=epoch)
            loss = criterion(_logits(model, model.normalize(batch.image)), batch.target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.detach()
        print(total.item() / EPOCH)


class PillowImages(Dataset):
    """Decoded images in memory, each turned into a Pillow image and transformed alone."""

    def __init__(self, examples: Any, transform: transforms.Compose) -> None:
        self.images, self.targets = examples.image.permute(0, 2, 3, 1).numpy(), examples.target.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[row])), self.targets[row]


def train_naive(photos: Path, num_steps: int) -> None:
    """A loop as in many tutorials: Pillow and torchvision for each image, contiguous tensors."""
    from my_project.data.image_folder import ImageFolder

    model, optimizer, scheduler = _model(num_steps)
    model.to(memory_format=torch.contiguous_format)
    data = ImageFolder(str(photos), val_split=0.05)
    data.setup("fit")
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=2, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
        ]
    )
    images = PillowImages(data.train_set.examples, transform)
    loader = DataLoader(images, BATCH_SIZE, shuffle=True, drop_last=True)
    criterion, num_done, total = nn.CrossEntropyLoss(label_smoothing=0.1), 0, 0.0
    while True:
        for image, target in loader:
            if num_done % NAIVE_BLOCK == 0:
                lap(num_done)
            optimizer.zero_grad()
            loss = criterion(_logits(model, image), target)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
            num_done += 1


def _model(num_steps: int) -> tuple:
    from my_project.model.resnet import ResNet

    model = ResNet(num_classes=10).train()
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": weights, "weight_decay": 1e-3}, {"params": others, "weight_decay": 0.0}],
        lr=LR,
        momentum=0.9,
        nesterov=True,
        fused=True,
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LR, pct_start=0.25, cycle_momentum=False, total_steps=num_steps
    )
    return model, optimizer, scheduler


def _logits(model: nn.Module, image: Tensor) -> Tensor:
    return model.head(model.features(image).mean(dim=(2, 3)))
