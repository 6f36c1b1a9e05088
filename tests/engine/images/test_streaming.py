"""Images of more bytes than there is memory are read from their file as they are needed."""

import os
import random
import sys
import zlib
from pathlib import Path

import pytest
import torch
from my_project.engine.data import ExampleSet
from my_project.engine.data.loaders import make_loader
from my_project.engine.data.sampler import EpochBatches
from my_project.engine.images.cache import BLOCK, NUM_BLOCKS, VERSION, cached_images
from my_project.structs import ImageExample
from torch.utils.data import DataLoader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of a process")
SIDE = 256
IMAGE = 3 * SIDE * SIDE


def own_memory() -> int:
    """Bytes of this process that no file holds, so that they cannot be dropped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def test_a_shuffled_epoch_needs_the_memory_of_a_few_batches(tmp_path: Path) -> None:
    shape = 1000, 3, SIDE, SIDE

    def fill(images: torch.Tensor) -> None:
        images.copy_(torch.arange(1000, dtype=torch.uint8)[:, None, None, None].expand(shape))

    before, most, seen = own_memory(), 0, 0
    images = cached_images(tmp_path, "train-1", shape, fill)
    examples = ExampleSet(ImageExample(image=images))
    batches = EpochBatches(len(examples), 32, shuffle=True)
    loader = make_loader(DataLoader, examples, batches, num_workers=0, pin_memory=False, seed=0)
    for batch in loader:
        most = max(most, own_memory())
        assert (batch.image[:, 0, 0, 0] == batch.index % 256).all()
        seen += len(batch)

    assert seen == 1000
    assert most - before < 50e6 < images.nbytes / 3


def test_a_file_larger_than_all_memory_is_mapped_and_any_image_of_it_read(tmp_path: Path) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    swap = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("SwapTotal")
    )
    count = (memory + swap) * 3 // 2 // IMAGE
    size = count * IMAGE
    with (tmp_path / "train-1.bin").open("wb") as file:  # of nothing but holes, which read as zeros
        num_blocks = -(-size // BLOCK)
        checksum = 0
        for number in range(0, num_blocks, -(-num_blocks // NUM_BLOCKS)):
            checksum = zlib.crc32(bytes(min(BLOCK, size - number * BLOCK)), checksum)
        file.seek(size)
        file.write(VERSION + checksum.to_bytes(4, "big"))

    def refuse(images: torch.Tensor) -> None:
        raise AssertionError("it was there already")

    images = cached_images(tmp_path, "train-1", (count, 3, SIDE, SIDE), refuse)
    for row in random.Random(0).sample(range(count), 20):
        assert images[row].sum() == 0
    images[-1] = 7
    assert cached_images(tmp_path, "train-1", (count, 3, SIDE, SIDE), refuse)[-1].sum() == 0
