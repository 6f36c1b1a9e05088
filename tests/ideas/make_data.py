"""Small data that the ideas read: made up, except for the digits."""

import csv
import shutil
from pathlib import Path

import torch

SIZES = {"train": 600, "test": 200}


def make_table(folder: Path) -> None:
    """Five columns and a price of three of them."""
    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(0)
    for split, size in SIZES.items():
        rows = torch.randn(size, 5, generator=random)
        noise = 0.1 * torch.randn(size, generator=random)
        price = 2 * rows[:, 0] + rows[:, 1] * rows[:, 2] + noise
        with (folder / f"{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["a", "b", "c", "d", "e", "price"])
            writer.writerows(torch.cat([rows, price[:, None]], dim=1).tolist())


def make_shapes(folder: Path) -> None:
    """Squares (1) and crosses (2) on noise, with their masks."""
    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(0)
    for split, size in SIZES.items():
        image = (torch.rand(size, 3, 24, 24, generator=random) * 80).byte()
        target = torch.zeros(size, 24, 24, dtype=torch.long)
        for row in range(size):
            y, x = torch.randint(2, 14, (2,), generator=random).tolist()
            if torch.rand((), generator=random) < 0.5:
                target[row, y : y + 8, x : x + 8] = 1
            else:
                target[row, y + 3 : y + 5, x : x + 8] = 2
                target[row, y : y + 8, x + 3 : x + 5] = 2
            image[row][:, target[row] > 0] = torch.randint(150, 255, (3, 1), generator=random).byte()
        torch.save({"image": image, "target": target}, folder / f"{split}.pt")


def make_tags(folder: Path, digits: Path) -> None:
    """Pictures of four of the real digits each; a label for each digit that is among them."""
    import numpy as np

    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(0)
    with np.load(digits) as file:
        pixels, labels = torch.from_numpy(file["images"]), torch.from_numpy(file["targets"]).long()
    pixels = (pixels.float() * 255 / 16).byte().view(-1, 8, 8)
    for split, rows in {"train": range(1400), "test": range(1400, 1797)}.items():
        chosen = torch.randint(
            rows.start, rows.stop, (2000 if split == "train" else 300, 4), generator=random
        )
        four = pixels[chosen]  # (N, 4, 8, 8)
        halves = torch.cat([four[:, 0], four[:, 1]], dim=2), torch.cat([four[:, 2], four[:, 3]], dim=2)
        target = torch.zeros(len(chosen), 10).scatter_(1, labels[chosen], 1.0)
        torch.save({"image": torch.cat(halves, dim=1)[:, None], "target": target}, folder / f"{split}.pt")


def make_words(folder: Path) -> None:
    """Words of 2 to 12 letters; class 1 where more than half are vowels."""
    folder.mkdir(parents=True)
    random = torch.Generator().manual_seed(0)
    vowels, others = "aeiou", "bcdfghjklmnpqrstvwxyz"
    for split, size in SIZES.items():
        lines = []
        for _ in range(size):
            length = int(torch.randint(2, 13, (), generator=random))
            is_vowel = (torch.rand(length, generator=random) < 0.5).tolist()
            picks = torch.randint(1000, (length,), generator=random).tolist()
            letters = [
                (vowels if vowel else others)[pick % len(vowels if vowel else others)]
                for vowel, pick in zip(is_vowel, picks, strict=True)
            ]
            lines.append(f"{int(2 * sum(is_vowel) > length)} {''.join(letters)}")
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")


def make_data(folder: Path, digits: Path) -> None:
    """All of it, in a folder for each; ``digits`` is the file of the project's digits."""
    make_table(folder / "table")
    make_shapes(folder / "shapes")
    make_tags(folder / "tags", digits)
    make_words(folder / "words")
    shutil.copy(digits, folder)
