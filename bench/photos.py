"""(h) to (k): photos at 224 pixels, from the first decode to augmented, normalised batches."""

import importlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import ImageFolder as TorchvisionImageFolder
from torchvision.transforms import v2

from .project import HOME, size
from .ratio import Ratio

SIDE, STORED, BATCH_SIZE = 224, 256, size(64, smoke=4)
NUM_PHOTOS, NUM_LARGE = size(1024, smoke=16), size(16, smoke=2)
NUM_MANY, NUM_FEW = size(10_000, smoke=60), size(100, smoke=20)
LARGE = size(4000, smoke=400), size(3000, smoke=300)
NUM_ROUNDS, BLOCK = size(7, smoke=1), size(12, smoke=1)  # batches of a block
READY = 4  # batches that two workers hold ready
COLOUR = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.05}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The code of the separate processes of (j) and (k).
CHILD = "from bench.photos import start; start(__import__('sys').argv[1], int(__import__('sys').argv[2]))"


def measure() -> Iterator[Ratio]:
    """All points, in the order of the table."""
    importlib.invalidate_caches()  # the project was made by this process
    yield from measure_batches()
    yield measure_decoding()
    yield from measure_start()


def measure_batches() -> Iterator[Ratio]:
    """(h): all loaders in one process, read in turns, while the workers of the others are idle."""
    photos = make_photos("ordinary", NUM_PHOTOS, (500, 375))
    loaders = {"ours": ours(photos), "PIL": by_pillow(photos), "v2": by_tensors(photos)}
    for loader in loaders.values():
        _take(loader, BLOCK)
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    for number in range(NUM_ROUNDS):
        for name in list(loaders)[:: -1 if number % 2 else 1]:
            _take(loaders[name], READY)  # else these would have been prepared outside of what is timed
            seconds[name].append(_time(partial(_take, loaders[name], BLOCK)))
            time.sleep(seconds[name][-1])  # until its workers have as many ready again
    images = BLOCK * BATCH_SIZE
    for name, what, least in (
        ("PIL", "torchvision ImageFolder, PIL, two workers", 6),
        ("v2", "transforms.v2 on decoded tensors, two workers", 1.5),
    ):
        yield Ratio(
            name=f"(h) images/s at {SIDE}, augmented and normalised / {what}",
            values=[b / a for a, b in zip(seconds["ours"], seconds[name], strict=True)],
            at_least=least,
            note=f"{images / median(seconds['ours']):,.0f} / {images / median(seconds[name]):,.0f} images/s",
        )


def measure_decoding() -> Ratio:
    """(i): the same files by one loop of Pillow."""
    from my_project.engine.images.image_files import read_images

    photos = sorted(make_photos("large", NUM_LARGE, LARGE).rglob("*.jpg"))
    into = torch.empty((len(photos), 3, STORED, STORED), dtype=torch.uint8)

    def by_loop() -> None:
        for row, path in enumerate(photos):
            with Image.open(path) as photo:
                pixels = np.asarray(photo.convert("RGB").resize((STORED, STORED)))
            into[row] = torch.from_numpy(pixels.copy()).permute(2, 0, 1)

    rounds = range(size(3, smoke=1))
    pairs = [
        (_time(lambda: read_images(photos, into, aspects=torch.ones(len(photos)))), _time(by_loop))
        for _ in rounds
    ]
    a, b = (len(photos) / median(values) for values in zip(*pairs, strict=True))
    return Ratio(
        name="(i) first decode of 12-megapixel JPEGs / a loop of Pillow, images/s",
        values=[theirs / ours for ours, theirs in pairs],
        at_least=3,
        note=f"{a:,.1f} / {b:,.1f} images/s",
    )


def measure_start() -> Iterator[Ratio]:
    """(j) and (k), in processes of their own."""
    many, few = (make_photos(f"small-{num}", num, (48, 40)) for num in (NUM_MANY, NUM_FEW))
    _, first = _run(many, NUM_MANY)
    for _ in range(size(1, smoke=0)):  # decode them
        _run(few, NUM_FEW)
    pairs = [(_run(many, 1), _run(few, 1)) for _ in range(size(5, smoke=1))]
    yield Ratio(
        name=f"(j) peak memory of {NUM_MANY:,} images, decoding and an epoch, beside their own, MB",
        values=[first],
        at_most=300,
        note=f"{NUM_MANY * 3 * STORED**2 / 2**20:,.0f} MB of images",
    )
    yield Ratio(
        name=f"(k) from python to the first batch, {NUM_MANY:,} images in the cache / {NUM_FEW}, seconds",
        values=[large[0] / small[0] for large, small in pairs],
        at_most=1.2,
        note=f"{median(large[0] for large, _ in pairs):.2f} / {median(small[0] for _, small in pairs):.2f} s",
    )


def start(photos: str, num_images: int) -> None:
    """In a process of its own: read so many images, and print the cost."""
    before = _status("VmRSS")
    data = make_data(Path(photos))
    data.prepare_data()
    data.setup("fit")
    data.statistics()
    num_read = 0
    for example in data.train_dataloader():
        num_read += len(data.change(example, epoch=0).image)
        if num_read >= num_images:
            break
    own = sum(split.nbytes for split in data._sets.values())
    print(f"{(_status('VmHWM') - before - own) / 2**20:.0f}")


def make_data(photos: Path) -> Any:
    """The datamodule of the config, without a model."""
    from my_project.data.image_folder import ImageFolder
    from my_project.engine.augment import PhotoAugment

    augment = PhotoAugment(scale=(0.25, 1), **COLOUR)
    options = {"image_size": SIDE, "stored_size": STORED, "batch_size": BATCH_SIZE, "augment": augment}
    return ImageFolder(str(photos), drop_last=True, **options)


def ours(photos: Path) -> Iterator[Tensor]:
    """Loader, augmentation and the model's normalisation, without workers."""
    from my_project.engine.cli.memory import keep_memory
    from my_project.model.normalize import Normalize

    keep_memory()  # as each command does
    data, normalize = make_data(photos), Normalize()
    data.prepare_data()
    data.setup("fit")
    normalize.set_statistics(torch.tensor(MEAN), torch.tensor(STD))
    for epoch in count():
        for example in data.train_dataloader():
            yield normalize(data.change(example, epoch=epoch).image)


def by_pillow(photos: Path) -> Iterator[Tensor]:
    """Files opened and transformed one by one."""
    crop = transforms.RandomResizedCrop(SIDE, scale=(0.25, 1))
    steps = [crop, transforms.RandomHorizontalFlip(), transforms.ColorJitter(**COLOUR)]
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return _forever(TorchvisionImageFolder(str(photos / "train"), transforms.Compose(steps)))


def by_tensors(photos: Path) -> Iterator[Tensor]:
    """Decoded tensors in memory, transformed one by one."""
    crop = v2.RandomResizedCrop(SIDE, scale=(0.25, 1), antialias=True)
    steps = [crop, v2.RandomHorizontalFlip(), v2.ColorJitter(**COLOUR)]
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    data = make_data(photos)
    return _forever(Decoded(data.sets_of("train")["train"].examples.image, v2.Compose(steps)))


class Decoded(Dataset):
    """Images of one tensor, each transformed."""

    def __init__(self, images: Tensor, transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(self.images[row]), 0


def make_photos(name: str, num: int, shape: tuple[int, int]) -> Path:
    """Made-up photos of two classes, once."""
    photos = HOME / f"photos-{name}-{num}"
    if not photos.is_dir():
        partial_folder = photos.with_suffix(".partial")
        shutil.rmtree(partial_folder, ignore_errors=True)
        for label in range(2):
            (partial_folder / "train" / f"{label}").mkdir(parents=True)

        def write(number: int) -> None:
            random = np.random.default_rng(number)
            coarse = random.integers(0, 256, (shape[1] // 8, shape[0] // 8, 3), dtype=np.uint8)
            path = partial_folder / "train" / f"{number % 2}" / f"{number:05d}.jpg"
            Image.fromarray(coarse).resize(shape, Image.Resampling.BICUBIC).save(path, quality=85)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, range(num)))
        partial_folder.rename(photos)
    return photos


def _forever(images: Dataset) -> Iterator[Tensor]:
    loader = DataLoader(
        images, BATCH_SIZE, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    while True:
        for batch, _ in loader:
            yield batch


def _take(loader: Iterator[Tensor], num_batches: int) -> None:
    for _ in range(num_batches):
        next(loader)


def _time(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _run(photos: Path, num_images: int) -> tuple[float, float]:
    """Seconds of a process that reads so many images, and its MB beside the images."""
    began = time.perf_counter()
    command = [sys.executable, "-c", CHILD, str(photos), str(num_images)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, float(ended.stdout)


def _status(name: str) -> int:
    """Bytes of this process, as Linux counts them; 0 elsewhere."""
    path = Path("/proc/self/status")
    found = re.search(rf"{name}:\s+(\d+) kB", path.read_text()) if path.is_file() else None
    return int(found[1]) * 1024 if found else 0
