"""Mean and deviation of pixels, against NumPy."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from my_project.data.image_folder import ImageFolder
from my_project.engine.images import statistics
from my_project.engine.images.statistics import pixel_statistics
from PIL import Image


@pytest.mark.parametrize("chunk", [1, 500, 1 << 22])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_statistics_are_those_of_the_positions_however_many_at_a_time(
    monkeypatch: pytest.MonkeyPatch, chunk: int, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(statistics, "CHUNK_BYTES", chunk)
    pixels = torch.randint(0, 256, (20, 3, 5, 4), generator=torch.Generator().manual_seed(0)).byte()
    pixels[:, 1] //= 2
    stored = pixels if dtype == torch.uint8 else pixels / 255
    positions = range(1, 20, 3)

    mean, std = pixel_statistics(lambda chosen: stored[list(chosen)], positions)

    expected = pixels[list(positions)].numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, expected.mean(axis=(0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(std, expected.std(axis=(0, 2, 3)), atol=1e-6)


def test_large_images_take_little_memory() -> None:
    """1,200 images of 224 pixels are 180 MB, and would be 1.4 GB as integers."""
    code = """
import resource, torch
from my_project.engine.images.statistics import pixel_statistics
pixels = torch.zeros(1200, 3, 224, 224, dtype=torch.uint8)
pixels[::2] = 255
pixel_statistics(lambda rows: pixels[list(rows)], range(10))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pixel_statistics(lambda rows: pixels[list(rows)], range(1200))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert int(done.stdout) <= 100


def test_statistics_are_stored_with_the_cache_and_follow_the_images(tmp_path: Path) -> None:
    for number in range(8):
        path = tmp_path / "train" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 20 * number).save(path)

    def measure() -> float:
        data = ImageFolder(str(tmp_path), image_size=4, val_split=2, seed=0)
        data.setup("fit")
        images = data.train_set[range(len(data.train_set))].image
        mean, _ = data.statistics()
        torch.testing.assert_close(mean, (images.float() / 255).mean(dim=(0, 2, 3)))
        return float(mean[0])

    first = measure()
    (path,) = (tmp_path / ".cache").glob("statistics-4x4-*.json")
    assert measure() == first == json.loads(path.read_text())[0][0]
    for image in (tmp_path / "train").rglob("*.png"):
        Image.new("L", (4, 4), 200).save(image)
    assert abs(measure() - 200 / 255) < 1e-6
