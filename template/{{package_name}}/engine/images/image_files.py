"""Reads image files into one shape; files that cannot be read are refused or skipped."""

import contextlib
import errno
import io
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..contracts import OnError
from ..errors import InputError
from .finding import NUM_THREADS, as_text, find_images, formats
from .levels import Levels, check_colours, is_deep, to_bytes

NUM_NAMED = 3
T = TypeVar("T")
NOT_THE_FILE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # the image may be good, so it is never skipped
ORIENTATION = 0x0112  # EXIF tag
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = (5, 6, 7, 8)  # orientations that swap height and width
PROGRESS_S = 10.0  # seconds between two lines about progress
log = logging.getLogger(__name__)


def read_image(
    path: Path | io.BytesIO,
    shape: tuple[int, ...],
    levels: Levels | None = None,
    guessed: set[Path] | None = None,
) -> Tensor:
    """One file as ``(C, H, W)`` uint8: scaled to cover ``shape`` and cropped at the centre.

    Args:
        path: A file of any format that Pillow reads, or its content; of several pages or frames, the first
            is read. It is turned upright by its EXIF orientation, if that can be read. Transparency becomes
            white. A large JPEG is decoded at a half, a quarter or an eighth of its size, but at no less
            than twice the wanted size.
        shape: ``(C, H, W)`` with 1 channel (grey) or 3 (RGB).
        levels: In grey images of more than 8 bits, the levels of black and white. ``None`` is the range of
            the type: ``[0, 65535]`` for integers, ``[0, 1]`` for floats; an image with levels outside of it
            is scaled by its own lowest and highest level. Colours of 16 bits keep their higher byte, and
            are refused if ``levels`` are given.
        guessed: Collects the paths of images that were scaled by their own levels.

    Raises:
        InputError: The file is corrupt, missing or not an image, or its levels or colours are refused.
    """
    channels, height, width = shape
    image = _decode(path, shape, levels, guessed)
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).view(height, width, channels).permute(2, 0, 1)


def read_squeezed(
    path: Path, shape: tuple[int, ...], levels: Levels | None = None, guessed: set[Path] | None = None
) -> tuple[Tensor, float]:
    """As ``read_image``, but width and height are scaled separately, and nothing is cropped.

    Returns:
        ``(C, H, W)`` uint8, and the width of the file's image divided by its height.
    """
    channels, height, width = shape
    image = _decode(path, shape, levels, guessed)
    aspect = image.width / image.height
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).view(height, width, channels).permute(2, 0, 1), aspect


def _decode(
    path: Path | io.BytesIO, shape: tuple[int, ...], levels: Levels | None, guessed: set[Path] | None
) -> Image.Image:
    """The image in a file, upright, with 8 bits, in grey or RGB."""
    channels, height, width = shape
    try:
        image = _open(path, 2 * max(height, width), levels, guessed)  # the image may be stored on its side
        return _opaque(image).convert("L" if channels == 1 else "RGB")
    except Exception as error:  # a damaged file makes Pillow raise anything
        if isinstance(error, OSError) and error.errno in NOT_THE_FILE:
            raise
        said = error.strerror if isinstance(error, OSError) else None
        reason = said or str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError) and _is_tiff(path):
            reason = "Pillow cannot read this kind of TIFF, such as 32-bit colours: save it as PNG"
        reason = reason.replace(f" {str(path)!r}", "").replace(f" {path}", "")
        got = path if isinstance(path, Path) else "other bytes"
        raise InputError(f"expected an image, got {got}: {reason}; repair or remove the file") from error


def _open(
    path: Path | io.BytesIO, side: int, levels: Levels | None, guessed: set[Path] | None
) -> Image.Image:
    """The image in a file, upright, with 8 bits; a JPEG may be reduced, to no less than ``side`` pixels."""
    with Image.open(path, formats=formats()) as file:
        check_colours(file, levels)
        file.draft(None, (side, side))
        file.load()  # some formats store EXIF after the pixels
        image = _upright(file)
        if is_deep(image):
            image, is_guess = to_bytes(image, levels)
            if is_guess and guessed is not None and isinstance(path, Path):
                guessed.add(path)
        return image


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as ``read_image`` turns it."""
    with Image.open(path, formats=formats()) as file:
        try:
            is_turned = file.getexif().get(ORIENTATION) in TURNED
        except Exception:  # the pixels are good all the same
            is_turned = False
        width, height = file.size
    return (height, width) if is_turned else (width, height)


def uncrop(image: Image.Image, size: tuple[int, int], fill: int) -> Image.Image:
    """Undo the scaling and cropping of ``read_image``: each pixel takes the nearest one of ``image``.

    Args:
        image: Made from the pixels that were read, such as a mask.
        size: Width and height of the original image.
        fill: Value of the pixels that were cropped away.
    """
    scale = min(size[0] / image.width, size[1] / image.height)
    left, top = (size[0] - image.width * scale) / 2, (size[1] - image.height * scale) / 2
    inverse = (1 / scale, 0, -left / scale, 0, 1 / scale, -top / scale)
    return image.transform(size, Image.Transform.AFFINE, inverse, Image.Resampling.NEAREST, fillcolor=fill)


def _upright(image: Image.Image) -> Image.Image:
    # Not ``exif_transpose``: it writes the other tags again, and fails if one is malformed.
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # the pixels are good all the same
        turn = None
    return image if turn is None else image.transpose(turn)


def _is_tiff(path: Path | io.BytesIO) -> bool:
    head = path.getvalue()[:4] if isinstance(path, io.BytesIO) else path.read_bytes()[:4]
    return head in (b"II*\0", b"MM\0*")


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA"))


def read_images(
    paths: Sequence[Path],
    into: Tensor,
    levels: Levels | None = None,
    guessed: set[Path] | None = None,
    aspects: Tensor | None = None,
) -> dict[Path, InputError]:
    """Read ``paths`` into ``into``, ``(N, C, H, W)`` uint8; rows of files that cannot be read become 0.

    Progress is logged every ``PROGRESS_S`` seconds. For ``levels`` and ``guessed`` see ``read_image``; if
    ``aspects``, ``(N,)`` float32, is given, it is filled, too, and images are read by ``read_squeezed``.

    Returns:
        The files that cannot be read, in the order of ``paths``, and why.
    """

    def read(row: int) -> InputError | None:
        try:
            shape = tuple(into.shape[1:])
            if aspects is None:
                into[row] = read_image(paths[row], shape, levels, guessed)
            else:
                into[row], aspects[row] = read_squeezed(paths[row], shape, levels, guessed)
        except InputError as error:
            into[row] = 0
            return error
        return None

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        errors = _say_progress(pool.map(read, range(len(paths))), len(paths))
        return {path: error for path, error in zip(paths, errors, strict=True) if error}


def _say_progress(done: Iterable[T], total: int) -> Iterator[T]:
    """The items of ``done``; every ``PROGRESS_S`` seconds, a line is logged about the progress."""
    began = said = time.monotonic()
    for number, result in enumerate(done, start=1):
        yield result
        now = time.monotonic()
        if now - said >= PROGRESS_S and number < total:
            said, speed = now, number / max(now - began, 1e-9)
            left = (total - number) / speed
            log.info(f"decoded {number:,} of {total:,} images, {speed:,.0f} images/s, {left:,.0f} s left")


def warn_guessed(guessed: Collection[Path], total: int, option: str) -> None:
    """Warn in one line that levels were guessed."""
    if guessed:
        names = _first_of([as_text(path) for path in sorted(guessed)], ", ")
        log.warning(
            f"{len(guessed)} of {total} images have levels outside of [0, 65535] (floats: [0, 1]), and are "
            f"each scaled by their own range: {names}; give {option} for one range"
        )


def read_batches(
    path: Path,
    shape: tuple[int, ...],
    *,
    batch_size: int,
    on_error: OnError,
    skipped: Path,
    levels: Levels | None = None,
    squeeze: bool = False,
) -> Iterator[tuple[list[str], Tensor, Tensor]]:
    """The images of a file or folder, in batches.

    Args:
        path: An image, or a folder that is searched with its subfolders.
        shape: ``(C, H, W)``.
        batch_size: Number of images in a batch.
        on_error: ``skip`` leaves out the images that cannot be read, ``raise`` refuses them at the end.
        skipped: File that will list the images that were left out.
        levels: See ``read_image``.
        squeeze: Whether to read by ``read_squeezed``; if not, all aspects are 1.

    Yields:
        Paths, ``(B, C, H, W)`` uint8, and ``(B,)`` float32 aspects.

    Raises:
        InputError: There are no images, none can be read, or one cannot and ``on_error`` is ``raise``.
    """
    if not (files := [path] if path.is_file() else find_images(path)):
        raise InputError(f"expected an image file or a folder with images, got {path}")
    unreadable, guessed = dict[Path, InputError](), set[Path]()
    for batch in (files[start : start + batch_size] for start in range(0, len(files), batch_size)):
        pixels, aspects = torch.empty((len(batch), *shape), dtype=torch.uint8), torch.ones(len(batch))
        unreadable |= read_images(batch, pixels, levels, guessed, aspects if squeeze else None)
        rows = [row for row, file in enumerate(batch) if file not in unreadable]
        if rows and not (unreadable and on_error == "raise"):  # else the rest is read only to count
            yield [str(batch[row]) for row in rows], pixels[rows], aspects[rows]
    if on_error == "raise" or len(unreadable) == len(files):
        refuse(unreadable, len(files), "--on_error=skip")
    warn_skipped(list(unreadable), len(files), skipped)
    warn_guessed(guessed, len(files), "levels to the training")


def refuse(unreadable: dict[Path, InputError], total: int, skip_option: str) -> None:
    """Raise one error that counts the files that cannot be read and names the first of them.

    Raises:
        InputError: There are such files.
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
    """Warn in one line that files are left out; ``listing`` lists them all, if it can be written."""
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
    names = _first_of([as_text(path) for path in unreadable], ", ")
    log.warning(f"skipped {len(unreadable)} of {total} {kind} that cannot be read: {names}{where}")


def _first_of(names: list[str], separator: str) -> str:
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return separator.join(names[:NUM_NAMED]) + more
