"""Find image files: by suffix or content, through links, without what systems and programs leave behind."""

import contextlib
import functools
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

SYSTEM = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "lost+found"),
    *("system volume information", "@eadir"),
}
# Formats that another program draws or decodes, or that Pillow knows by name alone.
NOT_READ = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
MORE_SUFFIXES = {".jpe", ".jfif", ".pnm", ".tga"}  # of formats that Pillow reads, whatever its release says
NUM_THREADS = 8  # reading and decoding leave Python's lock; more threads wait for the disk
log = logging.getLogger(__name__)


@functools.cache
def formats() -> tuple[str, ...]:
    """What ``read_image`` reads: every format that Pillow, or a plugin of it, opens and decodes itself."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_READ))


@functools.cache
def suffixes() -> frozenset[str]:
    """Suffixes of ``formats()``, in lower case; a file with one of them is an image, whatever is in it."""
    known = {suffix.lower() for suffix, name in Image.registered_extensions().items() if name in formats()}
    return frozenset(known | MORE_SUFFIXES)


def find_images(folder: Path) -> list[Path]:
    """The images below ``folder``, sorted; one line says how many files are left out.

    A file is an image by its suffix, else by its first bytes. Links are followed. Hidden files and folders,
    and those of systems (``__MACOSX``, ``Thumbs.db``), are left out without a word.
    """
    images, others = _sorted_out(walk(folder))
    say_left_out(others, folder)
    return images


def find_by_class(folder: Path, labels: Sequence[str]) -> list[list[Path]]:
    """The images of each class, in ``<folder>/<label>``, as ``find_images`` finds them."""
    found = [_sorted_out(walk(folder / label)) for label in labels]
    say_left_out([path for _, others in found for path in others], folder)
    return [images for images, _ in found]


def walk(folder: Path) -> list[Path]:
    """The files below ``folder``, sorted; also links that lead nowhere."""
    return sorted(_walk(folder, frozenset()))


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """``above`` are the folders on the way here: a link to one of them never ends."""
    with contextlib.suppress(OSError):  # it is not there, or may not be read
        state = folder.stat()
        here = state.st_dev, state.st_ino
        if here in above:
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir():
                    yield from _walk(folder / entry.name, above | {here})
                else:
                    yield folder / entry.name


def is_hidden(name: str) -> bool:
    """Whether people do not see a file of that name, or did not put it there."""
    return name.startswith(".") or name.lower() in SYSTEM


def folders_in(folder: Path) -> list[str]:
    """Names of the folders that people see, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def _sorted_out(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Images and others, in the order of ``files``."""
    known = suffixes()
    unsure = [path for path in files if path.suffix.lower() not in known]
    if not unsure:
        return list(files), []
    with warnings.catch_warnings(), ThreadPoolExecutor(NUM_THREADS) as pool:
        warnings.simplefilter("ignore")  # of Pillow, about what it takes for an image
        images = {path for path, is_one in zip(unsure, pool.map(_is_image, unsure), strict=True) if is_one}
    others = set(unsure) - images
    return [path for path in files if path not in others], [path for path in unsure if path in others]


def _is_image(path: Path) -> bool:
    # A format without a signature takes a text for an image.
    signed = [name for name in formats() if Image.OPEN[name][1] is not None]
    try:
        with path.open("rb") as file, Image.open(file, formats=signed):
            return True
    except Exception:  # Pillow raises anything of what is none
        return False


@rank_zero_only
def say_left_out(others: Sequence[Path], folder: Path) -> None:
    """One line about the files that are not images."""
    if others:
        count = (
            "1 file that is not an image" if len(others) == 1 else f"{len(others)} files that are not images"
        )
        log.warning(f"left out {count} in {folder}, such as {as_text(others[0])}")


def as_text(path: Path) -> str:
    """A path that can be written anywhere: bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def few(names: Sequence[str]) -> str:
    """The first five, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
