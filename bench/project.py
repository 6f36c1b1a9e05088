"""The project under test, and the photos it is tested with."""

import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jinja2 import Template
from PIL import Image

ROOT = Path(__file__).parents[1]
HOME = ROOT / "build" / "bench"
RUNS = HOME / "runs"
NUM_CLASSES, PHOTO_SIZE = 10, 32
SMOKE = "BENCH_SMOKE"  # set if each point runs with tiny numbers; the variants' processes inherit it

sys.path.insert(0, str(HOME))  # variants run in processes of their own, which import this module as well


def size(full: int, *, smoke: int) -> int:
    """A number of steps, images or turns: ``full``, or ``smoke`` if nothing is measured."""
    return smoke if os.environ.get(SMOKE) else full


def make_project() -> None:
    """Put the package, which has no Jinja in it, and the configs into ``build/bench``."""
    package, configs = HOME / "my_project", HOME / "configs"
    for folder in (package, configs, RUNS):
        shutil.rmtree(folder, ignore_errors=True)
    template = ROOT / "template"
    shutil.copytree(template / "{{package_name}}", package, ignore=shutil.ignore_patterns("__pycache__"))
    configs.mkdir()
    for path in filter(Path.is_file, (template / "configs").iterdir()):
        text = Template(path.read_text()).render(options=[], package_name="my_project")
        (configs / path.name.removesuffix(".jinja")).write_text(text)


def find_photos() -> tuple[Path, str]:
    """A folder for ``ImageFolder``, and what is in it.

    The real CIFAR-10 photos if ``CIFAR_JPEG`` names their folder, else made-up ones of their size, about
    as hard to decode: no cost that is measured here depends on what they show.
    """
    if given := os.environ.get("CIFAR_JPEG"):
        return Path(given), "CIFAR-10 photos"
    num_photos = size(20_000, smoke=400)
    photos = HOME / f"photos-{num_photos}"
    if not photos.is_dir():
        partial = photos.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        for label in range(NUM_CLASSES):
            (partial / "train" / f"{label}").mkdir(parents=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda number: _make_photo(partial, number), range(num_photos)))
        partial.rename(photos)
    return photos, "made-up photos"


def fit_on_fakes(
    image_shape: tuple[int, int, int], num_classes: int, batch_size: int, num_steps: int, num_epochs: int
) -> list[str]:
    """Options of ``fit``: one thread, made-up images, no validation, a lap each epoch.

    Args:
        image_shape: ``(C, H, W)``.
        num_classes: Number of classes.
        batch_size: Images of a batch.
        num_steps: Batches of an epoch.
        num_epochs: Number of epochs.
    """
    return [
        "--num_threads=1",
        "--data=Fake",
        f"--data.image_shape={list(image_shape)}",
        f"--data.num_classes={num_classes}",
        f"--data.num_train={(num_steps + 1) * batch_size}",
        f"--data.val_split={batch_size}",
        f"--data.batch_size={batch_size}",
        f"--trainer.default_root_dir={RUNS}",
        f"--trainer.max_epochs={num_epochs}",
        "--trainer.limit_val_batches=0",
        "--checkpoint.monitor=train/loss",
        "--trainer.callbacks+=bench.turns.Lap",
        f"--trainer.callbacks.every={num_steps}",
    ]


def describe_machine() -> str:
    """Processor, cores and versions on one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = {line.partition(": ")[2] for line in lines if line.startswith("model name")}
    processor = ", ".join(sorted(models)) or platform.processor() or platform.machine()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "pytorch-lightning", "torchmetrics"))
    return f"{os.cpu_count()} cores of {processor}, Python {platform.python_version()}, {versions}"


def _make_photo(folder: Path, number: int) -> None:
    """Smooth colours under a little noise."""
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((PHOTO_SIZE, PHOTO_SIZE), Image.Resampling.BICUBIC), np.float32)
    noisy = (smooth + 8 * random.standard_normal(smooth.shape)).clip(0, 255).astype(np.uint8)
    path = folder / "train" / f"{number % NUM_CLASSES}" / f"{number:05d}.jpg"
    Image.fromarray(noisy).save(path, quality=75)
