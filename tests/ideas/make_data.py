"""Small data that the ideas read: made up, except for the digits."""

import shutil
from pathlib import Path

import torch

SIZES = {"train": 600, "test": 200}


def make_series(folder: Path) -> None:
    """Two waves and noise."""
    folder.mkdir(parents=True)
    time = torch.arange(1200)
    noise = 0.1 * torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    values = torch.sin(2 * torch.pi * time / 24) + 0.5 * torch.sin(2 * torch.pi * time / 7.3) + noise
    (folder / "series.csv").write_text("\n".join(["value", *map(str, values.tolist())]) + "\n")


def make_words(folder: Path) -> None:
    """Words of 2 to 12 letters with a tag for each: 0 consonant, 1 vowel, 2 vowel between consonants."""
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
            around = zip([True, *is_vowel], is_vowel, [*is_vowel[1:], True], strict=False)
            tags = [str(vowel + (vowel and not (before or after))) for before, vowel, after in around]
            lines.append(f"{''.join(tags)} {''.join(letters)}")
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")


def make_data(folder: Path, digits: Path) -> None:
    """Make all data sets, each in its folder; ``digits`` is the file of the project's digits."""
    make_series(folder / "series")
    make_words(folder / "words")
    shutil.copy(digits, folder)
