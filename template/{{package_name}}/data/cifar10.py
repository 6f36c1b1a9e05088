"""CIFAR-10: 60,000 photos in ten classes."""

import logging
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from ..engine.data import ExampleSet
from ..engine.errors import InputError
from ..engine.images.cache import cached_images
from ..engine.runs.files import replacing
from ..structs import ImageExample
from .images import ImageData

log = logging.getLogger(__name__)
SIZES = {"train": 50_000, "test": 10_000}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class CIFAR10(ImageData):
    """CIFAR-10 from torchvision, which downloads it and verifies its checksums; kept as uint8 pixels.

    Args:
        data_dir: Folder of ``cifar-10-python.tar.gz``, or of what it unpacks to; filled if empty.
        download_limit_s: Seconds that the download may take; its host is sometimes slow.
        **kwargs: See ``ImageData``.
    """

    def __init__(self, data_dir: str = "data", download_limit_s: float = 3600, **kwargs: Any) -> None:
        super().__init__(data_dir, **kwargs)
        self.download_limit_s = download_limit_s
        self.class_names = list(CLASSES)
        self.image_shape = (3, 32, 32)
        self.cache = self.folder = Path(data_dir) / ".cache"

    def prepare_data(self) -> None:
        """Download and decode what is missing.

        Raises:
            InputError: It is missing and cannot be downloaded.
        """
        for split in SIZES:
            self.sets_of(split)

    def load(self, split: str) -> dict[str, ExampleSet[ImageExample]]:
        if split not in SIZES:
            return {}
        # The targets are small: they lie behind the pixels, as one more image row would.
        shape = (SIZES[split], 3 * 32 * 32 + 1)

        def fill(rows: torch.Tensor) -> None:
            source = self._source(split == "train")
            rows[:, :-1] = torch.from_numpy(source.data).permute(0, 3, 1, 2).flatten(1)
            rows[:, -1] = torch.tensor(source.targets)

        rows = cached_images(self.folder, f"cifar10-{split}-v1", shape, fill)
        images, targets = rows[:, :-1].unflatten(1, self.image_shape), rows[:, -1].long()
        return {split: self.image_set(images, targets)}

    def _source(self, train: bool) -> datasets.CIFAR10:
        archive = Path(self.data_dir, datasets.CIFAR10.filename)
        try:
            return datasets.CIFAR10(self.data_dir, train=train)
        except RuntimeError:
            pass  # it is not there, or not whole
        found = f"{archive}, which is cut short or damaged" if archive.exists() else "none"
        try:
            if not check_integrity(str(archive), datasets.CIFAR10.tgz_md5):
                _fetch(datasets.CIFAR10.url, archive, self.download_limit_s)
            if not check_integrity(str(archive), datasets.CIFAR10.tgz_md5):
                raise ConnectionError(f"{archive} has a wrong checksum")
            return datasets.CIFAR10(self.data_dir, train=train, download=True)  # only unpacks it
        except (OSError, RuntimeError, HTTPException) as error:
            raise InputError(
                f"expected CIFAR-10 in {self.data_dir!r}, got {found}, and the download failed ({error}); "
                f"put a whole {archive.name} there"
            ) from error


def _fetch(url: str, path: Path, limit_s: float) -> None:
    """Download ``url`` to ``path``, whole or not at all.

    Raises:
        OSError: The host does not answer, or the download would take longer than ``limit_s``.
    """
    start = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=min(10, limit_s)) as response:
            total = int(response.headers.get("Content-Length") or 0)
            path.parent.mkdir(parents=True, exist_ok=True)
            log.info(f"downloading {path.name} ({total // 1_000_000} MB)")
            with replacing(path) as partial, partial.open("wb") as file:
                while chunk := response.read(1 << 16):
                    file.write(chunk)
                    spent, done = time.monotonic() - start, file.tell()
                    expected = spent / done * max(total, done)
                    if spent > limit_s or (spent > 5 and expected > limit_s):
                        raise TimeoutError(f"it would take {expected:.0f} s, the limit is {limit_s:.0f} s")
                if file.tell() < total:
                    raise ConnectionError("the connection ended early")
    except urllib.error.URLError as error:
        raise ConnectionError(f"{url.split('/')[2]} cannot be reached: {error.reason}") from error
