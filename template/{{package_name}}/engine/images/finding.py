"""Finds image files by suffix or content, follows links, and skips files of operating systems."""

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
# Formats that Pillow can only identify, or that another program draws or decodes for it.
NOT_READ = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
MORE_SUFFIXES = {".jpe", ".jfif", ".pnm", ".tga"}  # Pillow reads these; not every release lists them
NUM_THREADS = 8  # reading and decoding release the GIL; more threads wait for the disk
log = logging.getLogger(__name__)


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats that ``read_image`` reads: all that Pillow, or a plugin of it, opens and decodes itself."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - NOT_READ))


@functools.cache
def suffixes() -> frozenset[str]:
    """Suffixes of ``formats()``, in lower case; a file with one of them is an image, whatever its content."""
    known = {suffix.lower() for suffix, name in Image.registered_extensions().items() if name in formats()}
    return frozenset(known | MORE_SUFFIXES)


def find_images(folder: Path) -> list[Path]:
    """The images below ``folder``, sorted; one line says how many files are left out.

    A file is an image by its suffix, else by its first bytes. Links are followed. Hidden files and folders,
    and those of operating systems (``__MACOSX``, ``Thumbs.db``), are left out silently.
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
    """The files below ``folder``, sorted, without hidden ones, but with broken links."""
    return sorted(_walk(folder, frozenset()))


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """``above`` has device and inode of each folder on the way here: a link to one would never end."""
    with contextlib.suppress(OSError):  # it does not exist, or may not be read
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
    """Whether a file or folder of that name is hidden, or made by an operating system."""
    return name.startswith(".") or name.lower() in SYSTEM


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in ``folder`` that are not hidden, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def _sorted_out(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Images and other files, each in the order of ``files``."""
    known = suffixes()
    unsure = [path for path in files if path.suffix.lower() not in known]
    if not unsure:
        return list(files), []
    with warnings.catch_warnings(), ThreadPoolExecutor(NUM_THREADS) as pool:
        warnings.simplefilter("ignore")  # Pillow's, about what it takes for an image
        images = {path for path, is_one in zip(unsure, pool.map(_is_image, unsure), strict=True) if is_one}
    others = set(unsure) - images
    return [path for path in files if path not in others], [path for path in unsure if path in others]


def _is_image(path: Path) -> bool:
    # A format without a signature would take a text file for an image.
    signed = [name for name in formats() if Image.OPEN[name][1] is not None]
    try:
        with path.open("rb") as file, Image.open(file, formats=signed):
            return True
    except Exception:  # Pillow may raise any error
        return False


@rank_zero_only
def say_left_out(others: Sequence[Path], folder: Path) -> None:
    """Warn in one line about files that are not images."""
    if others:
        count = (
            "1 file that is not an image" if len(others) == 1 else f"{len(others)} files that are not images"
        )
        log.warning(f"left out {count} in {folder}, such as {as_text(others[0])}")


def as_text(path: Path) -> str:
    """A path as text that can always be written: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def few(names: Sequence[str]) -> str:
    """The first five names in one text, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
