"""A rule to pronounce words by: each letter says what it most often says in the words that one learns from.

Letters and phonemes are aligned first: each letter says no phoneme, one or two. Alignments and how often each
letter says what are found in turns (hard EM), beginning with the words that have as many letters as phonemes.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

ROUNDS, RARE = 4, 1e-4
Said = tuple[str, ...]  # by one letter


def learn(words: Sequence[str], said: Sequence[Sequence[str]], around: int) -> dict[str, Said]:
    """What is said most often, by letters with up to ``around`` others on both sides; ``_`` is the edge."""
    counts: dict[str, Counter[Said]] = defaultdict(Counter)
    for word, chunks in zip(words, align(words, said), strict=True):
        for place, chunk in enumerate(chunks):
            for width in range(around + 1):
                counts[near(word, place, width)][chunk] += 1
    return {
        letters: min(found, key=lambda chunk: (-found[chunk], chunk)) for letters, found in counts.items()
    }


def pronounce(word: str, rule: dict[str, Said], around: int) -> list[str]:
    """By the widest surroundings of each letter that are known."""
    phonemes: list[str] = []
    for place in range(len(word)):
        widths = (near(word, place, width) for width in range(around, -1, -1))
        phonemes += next((rule[letters] for letters in widths if letters in rule), ())
    return phonemes


def near(word: str, place: int, width: int) -> str:
    padded = "_" * width + word + "_" * width
    return padded[place : place + 2 * width + 1]


def align(words: Sequence[str], said: Sequence[Sequence[str]]) -> list[list[Said]]:
    """What each letter says; nothing for words that say more than two phonemes a letter."""
    letters, phonemes = sorted(set("".join(words))), sorted({one for row in said for one in row})
    x, num_x = encode(words, letters)
    y, num_y = encode(said, phonemes)
    size = len(phonemes) + 1
    start = num_x == num_y
    codes = np.where(x[start] > 0, np.pad(y[start], ((0, 0), (0, x.shape[1])))[:, : x.shape[1]] * size, 0)
    scores = score(x[start], codes, len(letters) + 1, size)
    for _ in range(ROUNDS):
        codes = find_best(x, num_x, y, num_y, scores, size)
        scores = score(x, codes, len(letters) + 1, size)
    names = ["", *phonemes]
    return [
        [tuple(filter(None, (names[code // size], names[code % size]))) for code in row[:length]]
        for row, length in zip(codes.tolist(), num_x.tolist(), strict=True)
    ]


def encode(rows: Sequence[Sequence[str]], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers from 1, and lengths."""
    numbers, lengths = (
        {name: number for number, name in enumerate(names, 1)},
        np.array([len(row) for row in rows]),
    )
    ids = np.zeros((len(rows), lengths.max()), np.int64)
    for row, own in zip(ids, rows, strict=True):
        row[: len(own)] = [numbers[one] for one in own]
    return ids, lengths


def score(x: np.ndarray, codes: np.ndarray, num_letters: int, size: int) -> np.ndarray:
    """The logarithm of how often a letter says two phonemes, of which the second or both may be none."""
    flat = (x * size * size + codes)[x > 0]
    counts = np.bincount(flat, minlength=num_letters * size * size).reshape(num_letters, -1)
    return np.log(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) + RARE)


def find_best(
    x: np.ndarray, num_x: np.ndarray, y: np.ndarray, num_y: np.ndarray, scores: np.ndarray, size: int
) -> np.ndarray:
    """The most probable alignment of each word: for each letter the code of what it says."""
    best = np.full((len(x), y.shape[1] + 1), -np.inf)
    best[:, 0] = 0
    rows, chosen, steps = np.arange(len(x)), np.zeros_like(x), []
    one = np.pad(y * size, ((0, 0), (1, 0)))
    two = np.pad(y[:, :-1] * size + y[:, 1:], ((0, 0), (2, 0)))
    for place in range(x.shape[1]):
        letter = x[:, place, None]
        ways = [best + scores[letter, 0]]
        for width, code in ((1, one), (2, two)):
            moved = np.pad(best[:, :-width], ((0, 0), (width, 0)), constant_values=-np.inf)
            ways.append(moved + scores[letter, code])
        steps.append(np.argmax(ways, axis=0))
        best = np.where(letter > 0, np.max(ways, axis=0), best)
    at = num_y.copy()
    for place in range(x.shape[1] - 1, -1, -1):
        width = np.where(place < num_x, steps[place][rows, at], 0)
        chosen[:, place] = np.choose(width, [0 * at, one[rows, at], two[rows, at]])
        at = np.maximum(at - width, 0)
    chosen[num_y > 2 * num_x] = 0
    return chosen
