"""Images with a mask each: find the pairs, read the masks' values, decode both to bytes of one shape."""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .contracts import IGNORED
from .data.examples import E, ExampleSet
from .errors import InputError
from .images.finding import find_images
from .images.image_files import NUM_THREADS, ORIENTATION, read_images
from .runs.files import write_text

log = logging.getLogger(__name__)
R = TypeVar("R")
UNKNOWN, LARGEST = 255, 254  # the stored byte of what is ignored, and how many classes fit below it
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
TURNED = (5, 6, 7, 8)  # orientations of EXIF that swap height and width
OF_VALUES = (
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "I",
    "I;16",
    "I;16B",
    "I;16L",
    "F",
)  # Pillow's modes; others are colours


class _UnreadableError(InputError):
    """A mask that cannot be opened."""


class MaskSet(ExampleSet[E]):
    """Examples whose targets are stored as bytes, an eighth of the memory; batches have int64 classes."""

    def __getitem__(self, positions: Sequence[int] | Tensor) -> E:
        batch = super().__getitem__(positions)
        assert batch.target is not None
        target = batch.target.long()
        return replace(batch, target=target.masked_fill(target == UNKNOWN, IGNORED))


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What the values of masks mean.

    Attributes:
        names: Of the classes.
        values: Of the classes: grey levels or positions in a palette; of colours ``0xRRGGBB``.
        ignored: Values that count nowhere.
        in_colour: Whether the values are colours.
        palette: Colours of the values, of masks that have them.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    in_colour: bool = False
    palette: dict[int, tuple[int, ...]] | None = None

    @property
    def colours(self) -> list[list[int]] | None:
        """Red, green and blue of each class, if the masks say so."""
        if self.in_colour:
            return [[value >> 16, value >> 8 & 255, value & 255] for value in self.values]
        return [list(self.palette[value]) for value in self.values] if self.palette else None

    @property
    def written(self) -> list[int]:
        """Values of the classes in masks that are written: the same, if a byte holds them."""
        fits = not self.in_colour and max(self.values) < 256
        return list(self.values) if fits else list(range(len(self.values)))

    def encode(self, values: np.ndarray, path: Path) -> np.ndarray:
        """Class indices ``(H, W)`` uint8 of ``(H, W)`` int32 values; ``UNKNOWN`` where they are ignored.

        Raises:
            InputError: A value is neither a class nor ignored.
        """
        codes = np.array([*self.values, *self.ignored], dtype=np.int64)
        classes = np.array([*range(len(self.values)), *[UNKNOWN] * len(self.ignored)], dtype=np.uint8)
        order = codes.argsort(kind="stable")
        places = np.searchsorted(codes[order], values).clip(max=len(codes) - 1)
        if (wrong := values[codes[order][places] != values]).size:
            raise InputError(
                f"expected the classes {', '.join(self.names)} in {path}, got the value "
                f"{_as_name(int(wrong[0]), self.in_colour)}; name it in classes, or as ignore_index"
            )
        return classes[order][places]


def find_pairs(
    root: Path, split: str, images: str, masks: str
) -> tuple[Path, list[tuple[Path, Path]]] | None:
    """The images of a split with their masks, of the same name without suffix; and the images' folder.

    ``root`` has ``<split>/<images>/`` or ``<images>/<split>/``, or is itself the training part. Subfolders of
    both are matched by name, too.

    Raises:
        InputError: An image has no mask, or a mask no image, or two have one name.
    """
    for name in SPLITS[split]:
        for image_dir, mask_dir in (
            (root / name / images, root / name / masks),
            (root / images / name, root / masks / name),
        ):
            if image_dir.is_dir():
                return image_dir, _pair(image_dir, mask_dir)
    below = root / images
    has_splits = any((below / name).is_dir() for names in SPLITS.values() for name in names)
    if split == "train" and below.is_dir() and not has_splits:
        return below, _pair(below, root / masks)
    return None


def _pair(image_dir: Path, mask_dir: Path) -> list[tuple[Path, Path]]:
    images, masks = _by_name(image_dir), _by_name(mask_dir)
    alone = [f"the image {images[name]} has no mask" for name in sorted(images.keys() - masks.keys())]
    alone += [f"the mask {masks[name]} has no image" for name in sorted(masks.keys() - images.keys())]
    if alone:
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        raise InputError(
            f"expected a mask in {mask_dir} for each image in {image_dir}, got {len(alone)} alone: "
            f"{'; '.join(alone[:3])}{more}; give both one name"
        )
    if not images:
        raise InputError(f"expected images in {image_dir}, got none; add some or remove the folder")
    return [(path, masks[name]) for name, path in sorted(images.items())]


def _by_name(folder: Path) -> dict[str, Path]:
    """Images by their path below ``folder`` without suffix."""
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"expected one file of each name, got {found[name]} and {path}; rename one")
        found[name] = path
    return found


def find_coding(
    masks: Sequence[Path],
    classes: Mapping[str, int | str | Sequence[int]] | None,
    ignored: Sequence[int | str | Sequence[int]],
    cache: Path,
) -> Coding:
    """What masks mean: by names that are given, else by all values that are found.

    Args:
        masks: Files, all of which are read if ``classes`` is ``None``.
        classes: Name to grey level, position in the palette, or colour (``[r, g, b]`` or ``"#rrggbb"``).
        ignored: Values that count nowhere.
        cache: Folder that keeps what was found, as long as the files are the same.

    Raises:
        InputError: There are fewer than two classes, or more than 254, or values and colours are mixed.
    """
    given = [*(classes or {}).values(), *ignored]
    in_colour = any(not isinstance(value, int) for value in given)
    if in_colour and any(isinstance(value, int) for value in given):
        raise InputError(f"expected classes and ignore_index all as values or all as colours, got {given}")
    left_out = tuple(_as_code(value) for value in ignored)
    if classes is None:
        found, in_colour = _find_values(masks, in_colour, cache)
        values = sorted(set(found) - set(left_out))
        names = [_as_name(value, in_colour) for value in values]
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        log.info(f"the masks hold {len(values)} classes: {shown}; classes gives them names")
    else:
        names, values = list(classes), [_as_code(value) for value in classes.values()]
    if not 2 <= len(values) <= LARGEST or len({*values, *left_out}) < len(values) + len(left_out):
        raise InputError(
            f"expected from 2 to {LARGEST} classes of different values in the masks, got {len(values)}: "
            f"{', '.join(names[:6])}; name them in classes, and what counts nowhere as ignore_index"
        )
    palette = None if in_colour else _palette(masks[0])
    return Coding(
        names=tuple(names), values=tuple(values), ignored=left_out, in_colour=in_colour, palette=palette
    )


def fingerprint(paths: Sequence[Path], *how: object) -> str:
    """Names the content of a cache: the files with their sizes and times, and how they were read."""
    digest = hashlib.sha256(repr(("masks-1", *how)).encode())
    for path in paths:
        with contextlib.suppress(OSError):  # it vanished since it was found: who reads it says so
            state = path.stat()
            digest.update(os.fsencode(path) + f"\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _find_values(masks: Sequence[Path], in_colour: bool, cache: Path) -> tuple[list[int], bool]:
    """All values in masks, and whether they are colours; read once."""
    path = cache / f"values-{fingerprint(masks, in_colour)}.json"
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["values"], kept["in_colour"]
    in_colour = in_colour or any(_parallel(_is_coloured, masks))
    found = sorted(set[int]().union(*_parallel(lambda mask: _values_of(mask, in_colour), masks)))
    with contextlib.suppress(OSError):  # it is read again where nothing can be kept
        cache.mkdir(parents=True, exist_ok=True)
        for stale in cache.glob("values-*.json"):
            stale.unlink(missing_ok=True)
        write_text(path, json.dumps({"values": found, "in_colour": in_colour}))
    return found, in_colour


def read_pairs(
    pairs: Sequence[tuple[Path, Path]], coding: Coding, images: Tensor, masks: Tensor
) -> dict[Path, InputError]:
    """Decode into ``images`` ``(N, C, H, W)`` and ``masks`` ``(N, H, W)``, both uint8.

    Images are resampled smoothly, masks by their nearest pixel, with one crop.

    Returns:
        The images that cannot be read, or whose masks cannot, and why; their rows are not to be used.

    Raises:
        InputError: A mask holds a value that is no class, or has another size than its image.
    """
    unreadable = read_images([image for image, _ in pairs], images)
    height, width = masks.shape[1:]

    def read(row: int) -> InputError | None:
        image, mask = pairs[row]
        masks[row] = UNKNOWN
        if image in unreadable:
            return None
        try:
            values = _read_values(mask, coding.in_colour)
        except _UnreadableError as error:
            return error
        if values.shape[::-1] != (size := _size_of(image)):
            got = f"{values.shape[1]} x {values.shape[0]}, and {size[0]} x {size[1]} of {image}"
            raise InputError(f"expected {mask} in the size of its image, got {got} pixels")
        fitted = ImageOps.fit(Image.fromarray(values), (width, height), Image.Resampling.NEAREST)
        masks[row] = torch.from_numpy(coding.encode(np.asarray(fitted), mask))
        return None

    errors = zip((image for image, _ in pairs), _parallel(read, range(len(pairs))), strict=True)
    return unreadable | {image: error for image, error in errors if error}


def _parallel(function: Callable[..., R], values: Sequence[object]) -> list[R]:
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(function, values))


def _read_values(path: Path, in_colour: bool) -> np.ndarray:
    """``(H, W)`` int32: levels or positions in a palette; or colours, ``0xRRGGBB``.

    Raises:
        InputError: It cannot be read, its values were changed by a lossy format, or it has colours only.
    """
    try:
        with Image.open(path) as file:
            is_wrong = not in_colour and file.mode not in OF_VALUES
            if in_colour or is_wrong:
                rgb = np.asarray(file.convert("RGB")).astype(np.int32)
                values = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
            else:
                values = np.asarray(file.getchannel(0) if file.mode in ("LA", "PA") else file)
                values = values.astype(np.int32)
    except Exception as error:  # a damaged file makes Pillow raise anything
        reason = str(error).replace(f" {str(path)!r}", "") or type(error).__name__
        said = f"expected an image, got {path}: {reason}; repair or remove the file"
        raise _UnreadableError(said) from error
    if is_wrong and (values >> 16 != values & 255).any():
        raise InputError(f"expected values in {path}, got colours; give classes as colours")
    return values & 255 if is_wrong else values  # grey levels that were saved as colours


def _values_of(path: Path, in_colour: bool) -> set[int]:
    if path.suffix.lower() in LOSSY:
        raise InputError(f"expected a mask that keeps its values, got {path}; save it as PNG")
    with contextlib.suppress(_UnreadableError):  # who decodes it says so
        return set(np.unique(_read_values(path, in_colour)).tolist())
    return set()


def _is_coloured(path: Path) -> bool:
    try:
        with Image.open(path) as file:
            return file.mode not in OF_VALUES
    except Exception:  # who decodes it says so
        return False


def _palette(path: Path) -> dict[int, tuple[int, ...]] | None:
    colours = None
    with contextlib.suppress(Exception), Image.open(path) as file:  # who decodes it says so
        colours = file.getpalette("RGB") if file.mode == "P" else None
    if colours is None:
        return None
    colours += [0] * (768 - len(colours))
    return {value: tuple(colours[3 * value : 3 * value + 3]) for value in range(256)}


def _size_of(path: Path) -> tuple[int, int]:
    """Width and height, upright."""
    with Image.open(path) as file:
        try:
            is_turned = file.getexif().get(ORIENTATION) in TURNED
        except Exception:  # the pixels are good all the same
            is_turned = False
        width, height = file.size
    return (height, width) if is_turned else (width, height)


def _as_code(value: int | str | Sequence[int]) -> int:
    if isinstance(value, int):
        return value
    try:
        red, green, blue = bytes.fromhex(value.removeprefix("#")) if isinstance(value, str) else value
    except ValueError as error:
        raise InputError(f"expected a colour such as [255, 0, 0] or '#ff0000', got {value!r}") from error
    return red << 16 | green << 8 | blue


def _as_name(value: int, in_colour: bool) -> str:
    return f"#{value:06x}" if in_colour else str(value)
