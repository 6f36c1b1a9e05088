"""Finds identical files, which should not be in training and validation at once."""

import hashlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from .cache import stored
from .decoding import WHOLE, Listing
from .finding import NUM_THREADS, as_text

HEAD = 1 << 14  # bytes compared first: uncompressed images often have equal sizes
NUM_NAMED = 3
log = logging.getLogger(__name__)
Groups = list[list[int]]


def warn_leaks(listings: Mapping[str, Listing], rows: Mapping[str, Tensor], cache: Path) -> None:
    """Warn in one line per set about its files that are also trained on; the result is kept in ``cache``.

    Args:
        listings: All files, by the name of their listing.
        rows: Each set's rows, ``(M,)`` int64, in the listing of its name, else in ``train``, else in ``all``.
        cache: A folder; if it is missing, files are compared each time.
    """
    if any(len(listing.paths) != len(listing.targets) for listing in listings.values()):
        return  # all images are in one file
    paths = [path for listing in listings.values() for path in listing.paths]
    ends = itertools.accumulate(len(listing.paths) for listing in listings.values())
    starts = dict(zip(listings, [0, *ends], strict=False))
    sets = {
        name: {
            starts[name if name in starts else "train" if "train" in starts else WHOLE] + row
            for row in of_set
        }
        for name, of_set in ((name, found.tolist()) for name, found in rows.items())
    }
    states = hashlib.sha256("".join(listing.states for listing in listings.values()).encode()).hexdigest()[
        :16
    ]
    groups = stored(cache, f"copies-{states}", lambda: find_copies(paths))
    warn_copies(groups, paths, sets.pop("train"), sets)


def find_copies(paths: Sequence[Path]) -> Groups:
    """Positions of files with equal content, in groups of two or more; opens only files of equal size."""
    groups = _divide([list(range(len(paths)))], paths, lambda path: str(path.stat().st_size))
    groups = _divide(groups, paths, lambda path: _hash(path, HEAD))
    return sorted(_divide(groups, paths, lambda path: _hash(path, -1)))


def _divide(groups: Groups, paths: Sequence[Path], key: Callable[[Path], str]) -> Groups:
    """Divide groups into groups of equal ``key``; a file that cannot be read is in none."""

    def key_of(position: int) -> str | None:
        try:
            return key(paths[position])
        except OSError:
            return None

    found: Groups = []
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for group in groups:
            alike = defaultdict[str | None, list[int]](list)
            for position, name in zip(group, pool.map(key_of, group), strict=True):
                alike[name].append(position)
            found += [same for name, same in alike.items() if name is not None and len(same) > 1]
    return found


def _hash(path: Path, num_bytes: int) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(num_bytes)).hexdigest()


@rank_zero_only
def warn_copies(groups: Groups, paths: Sequence[Path], train: set[int], others: dict[str, set[int]]) -> None:
    """Warn in one line per set about the files of ``others`` that are also in ``train``.

    Args:
        groups: Result of ``find_copies(paths)``.
        paths: All files.
        train: Positions of the training files.
        others: Positions of the files of each other set, by its name.
    """
    for name, positions in others.items():
        pairs = [
            (next(iter(sorted(train.intersection(group)))), position)
            for group in groups
            if train.intersection(group)
            for position in group
            if position in positions
        ]
        if pairs:
            first = [f"{as_text(paths[copy])} = {as_text(paths[seen])}" for seen, copy in pairs[:NUM_NAMED]]
            more = f" and {len(pairs) - NUM_NAMED} more" if len(pairs) > NUM_NAMED else ""
            log.warning(
                f"{len(pairs)} of {len(positions)} files in {name} are also in train, so its numbers are too "
                f"good: {', '.join(first)}{more}; remove one of each"
            )
