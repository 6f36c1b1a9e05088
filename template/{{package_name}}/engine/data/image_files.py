"""Image files: find them, read them, all of one shape; what cannot be read is refused or skipped."""

import contextlib
import errno
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..contracts import OnError
from ..errors import InputError

SUFFIXES = {
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm"),
    *(".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
NUM_THREADS = 8  # decoding large images leaves Python's lock; more threads wait for the disk
NUM_NAMED = 3
NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # the image may be good: never skipped
ORIENTATION = 0x0112  # of EXIF
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LARGEST = {"I": 65535, "F": 1.0}  # 16 bits, as Pillow also opens them; and the usual range of floats
log = logging.getLogger(__name__)


def find_images(folder: Path) -> list[Path]:
    """The image files below ``folder`` by their suffix, sorted; hidden files and folders are left out."""
    return [path for path in _find_files(folder) if path.suffix.lower() in SUFFIXES]


def find_by_class(folder: Path, labels: Sequence[str]) -> list[list[Path]]:
    """The images of each class, in ``<folder>/<label>``; of files that are none, one line says how many."""
    files = [_find_files(folder / label) for label in labels]
    others = [path for paths in files for path in paths if path.suffix.lower() not in SUFFIXES]
    if others:
        log.warning(
            f"left out {len(others)} files in {folder} of other suffixes, such as {_as_text(others[0])}"
        )
    return [[path for path in paths if path.suffix.lower() in SUFFIXES] for paths in files]


def _find_files(folder: Path) -> list[Path]:
    def is_hidden(path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(folder).parts)

    return sorted(path for path in folder.rglob("*") if not is_hidden(path) and path.is_file())


def read_image(path: Path, shape: tuple[int, ...]) -> Tensor:
    """One file as ``(C, H, W)`` uint8: scaled to cover ``shape`` and cropped at the centre.

    Args:
        path: Any format that Pillow reads; turned upright by its EXIF orientation, if that can be read. What
            is transparent becomes white. Grey levels of 16 bits (also in 32-bit integers) and floats in
            ``[0, 1]`` are scaled to 8 bits.
        shape: ``(C, H, W)`` with 1 channel (grey) or 3 (RGB).

    Raises:
        InputError: The file is corrupt, no image or gone.
    """
    channels, height, width = shape
    try:
        with Image.open(path) as file:
            file.load()  # some formats keep their EXIF behind the pixels
            image = _to_bytes(_upright(file)).convert("L" if channels == 1 else "RGB")
    except Exception as error:  # a damaged file makes Pillow raise anything
        if isinstance(error, OSError) and error.errno in NOT_THE_FILE:
            raise
        said = error.strerror if isinstance(error, OSError) else None
        reason = said or str(error) or type(error).__name__
        reason = reason.replace(f" {str(path)!r}", "").replace(f" {path}", "")
        raise InputError(f"expected an image, got {path}: {reason}; repair or remove the file") from error
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).view(height, width, channels).permute(2, 0, 1)


def _upright(image: Image.Image) -> Image.Image:
    # Not by ``exif_transpose``: it writes the other tags again, and fails where one is odd.
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # the pixels are good all the same
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_bytes(image: Image.Image) -> Image.Image:
    """An image of 8 bits for each channel, without transparency.

    Raises:
        ValueError: Its levels lie outside of the range that its type should have.
    """
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    if image.mode not in LARGEST and not image.mode.startswith("I;16"):
        return image
    largest = LARGEST.get(image.mode, 65535)
    levels = np.asarray(image).astype(np.float64) / largest
    if not (levels.min() >= 0 and levels.max() <= 1):
        low, high = levels.min() * largest, levels.max() * largest
        raise ValueError(f"its levels lie in [{low:g}, {high:g}], not in [0, {largest:g}]; save 8 bits")
    return Image.fromarray((levels * 255).round().astype(np.uint8))


def read_images(paths: Sequence[Path], into: Tensor) -> dict[Path, InputError]:
    """Read ``paths`` into ``into``, ``(N, C, H, W)`` uint8; rows of files that cannot be read become 0.

    Returns:
        The files that cannot be read, in the order of ``paths``, and why.
    """

    def read(row: int) -> InputError | None:
        try:
            into[row] = read_image(paths[row], tuple(into.shape[1:]))
        except InputError as error:
            into[row] = 0
            return error
        return None

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        errors = pool.map(read, range(len(paths)))
        return {path: error for path, error in zip(paths, errors, strict=True) if error}


def read_batches(
    path: Path, shape: tuple[int, ...], *, batch_size: int, on_error: OnError, skipped: Path
) -> Iterator[tuple[list[str], Tensor]]:
    """The images of a file or folder, in batches.

    Args:
        path: An image, or a folder that is searched with its subfolders.
        shape: ``(C, H, W)``.
        batch_size: Images at a time.
        on_error: ``skip`` leaves out the images that cannot be read, ``raise`` refuses them at the end.
        skipped: File that names the images that were left out.

    Yields:
        Paths, and ``(B, C, H, W)`` uint8.

    Raises:
        InputError: There are no images, one is corrupt, or all are.
    """
    files = [path] if path.is_file() else find_images(path)
    if not files:
        raise InputError(f"expected an image file or a folder with images, got {path}")
    unreadable: dict[Path, InputError] = {}
    for start in range(0, len(files), batch_size):
        batch = files[start : start + batch_size]
        pixels = torch.empty((len(batch), *shape), dtype=torch.uint8)
        unreadable |= read_images(batch, pixels)
        rows = [row for row, file in enumerate(batch) if file not in unreadable]
        if rows and not (unreadable and on_error == "raise"):  # else the others are only counted
            yield [str(batch[row]) for row in rows], pixels[rows]
    if on_error == "raise" or len(unreadable) == len(files):
        refuse(unreadable, len(files), "--on_error=skip")
    warn_skipped(list(unreadable), len(files), skipped)


def refuse(unreadable: dict[Path, InputError], total: int, skip_option: str) -> None:
    """Raise one error that counts the files that cannot be read and names the first of them.

    Raises:
        InputError: There are any.
    """
    if not unreadable:
        return
    reasons = [
        str(error).removeprefix("expected an image, got ").rpartition(";")[0] for error in unreadable.values()
    ]
    raise InputError(
        f"expected {total} images, got {len(unreadable)} that cannot be read: {_first_of(reasons, '; ')}; "
        f"repair or remove them, or give {skip_option}"
    )


def warn_skipped(unreadable: Sequence[Path], total: int, listing: Path, kind: str = "images") -> None:
    """Say in one line that files are left out; ``listing`` names them all, if it can be written."""
    if not unreadable:
        with contextlib.suppress(OSError):
            listing.unlink()
        return
    where = ""
    with contextlib.suppress(OSError):
        listing.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{path}\n" for path in unreadable)
        listing.write_text(text, encoding="utf-8", errors="surrogateescape")
        where = f"; all of them: {listing}"
    names = _first_of([_as_text(path) for path in unreadable], ", ")
    log.warning(f"skipped {len(unreadable)} of {total} {kind} that cannot be read: {names}{where}")


def _as_text(path: Path) -> str:
    """A path that can be written anywhere: bytes that are no text are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _first_of(names: list[str], separator: str) -> str:
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return separator.join(names[:NUM_NAMED]) + more
