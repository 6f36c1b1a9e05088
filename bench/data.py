"""(c) From stored pixels to augmented, normalised batches."""

from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder as TorchvisionImageFolder

from .project import find_photos, size
from .ratio import Ratio
from .turns import alternate, lap

BATCH_SIZE = 128
NUM_ROUNDS = size(11, smoke=1)
OURS_BLOCK, THEIRS_BLOCK = size(200, smoke=1), size(8, smoke=1)  # batches


def measure() -> list[Ratio]:
    """Images per second of one CPU; no model, no worker processes."""
    photos, what = find_photos()
    costs = alternate(
        {"ours": partial(read_ours, photos), "theirs": partial(read_theirs, photos)}, NUM_ROUNDS
    )
    ours, theirs = ([cost.cpu_s for cost in costs[name]] for name in ("ours", "theirs"))
    return [
        Ratio(
            name="(c) data path / PIL and torchvision per sample, images per CPU second",
            values=[b / a for a, b in zip(ours, theirs, strict=True)],
            at_least=20,
            note=f"{1 / median(ours):,.0f} / {1 / median(theirs):,.0f} images/s, {what}",
        )
    ]


def read_ours(photos: Path) -> None:
    """The datamodule's loader, its augmentation and the model's normalisation."""
    from my_project.data import Augment
    from my_project.data.image_folder import ImageFolder
    from my_project.model.normalize import Normalize

    torch.set_num_threads(1)
    data = ImageFolder(
        str(photos), val_split=0.05, batch_size=BATCH_SIZE, augment=Augment(padding=2, flip=True)
    )
    data.setup("fit")
    normalize = Normalize()
    normalize.set_statistics(*data.statistics())
    num_batches = num_images = 0
    for epoch in count():
        for example in data.train_dataloader():
            if num_batches % OURS_BLOCK == 0:
                lap(num_images)
            image = normalize(data.augment(example, seed=0, epoch=epoch).image)
            num_batches, num_images = num_batches + 1, num_images + len(image)


def read_theirs(photos: Path) -> None:
    """Files opened and transformed one by one."""
    torch.set_num_threads(1)
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=2, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
        ]
    )
    images = TorchvisionImageFolder(str(photos / "train"), transform)
    loader = DataLoader(images, BATCH_SIZE, shuffle=True, num_workers=0, drop_last=True)
    num_batches = 0
    while True:
        for _ in loader:
            if num_batches % THEIRS_BLOCK == 0:
                lap(num_batches * BATCH_SIZE)
            num_batches += 1
