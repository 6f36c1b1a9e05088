"""What the values of masks mean."""

import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..runs.files import write_text
from .files import fingerprint, is_coloured, palette_of, parallel, values_of

log = logging.getLogger(__name__)
UNKNOWN, LARGEST = 255, 254  # the stored byte of what is ignored, and the most classes


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What the values of masks mean.

    Attributes:
        names: Names of the classes.
        values: Values of the classes: grey levels, positions in a palette, or colours as ``0xRRGGBB``.
        ignored: Values that count nowhere.
        in_colour: Whether the values are colours.
        palette: Colour of each value, if the masks have a palette.
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
        """Values of the classes in masks that are written: the same if they fit a byte, else indices."""
        fits = not self.in_colour and max(self.values) < 256
        return list(self.values) if fits else list(range(len(self.values)))

    @property
    def unseen(self) -> int:
        """Value of what was cropped away, in masks that are written: an ignored one, or that of no class."""
        ignored = () if self.in_colour else (value for value in self.ignored if 0 <= value < 256)
        return next(value for value in (*ignored, *range(255, -1, -1)) if value not in self.written)

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


def find_coding(
    masks: Sequence[Path],
    classes: Mapping[str, int | str | Sequence[int]] | None,
    ignored: Sequence[int | str | Sequence[int]],
    cache: Path,
) -> Coding:
    """The coding of masks, from the classes that are given, else from all values that are found.

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
    palette = None if in_colour else palette_of(masks[0])
    return Coding(
        names=tuple(names), values=tuple(values), ignored=left_out, in_colour=in_colour, palette=palette
    )


def _find_values(masks: Sequence[Path], in_colour: bool, cache: Path) -> tuple[list[int], bool]:
    """All values in masks, and whether they are colours; read once."""
    path = cache / f"values-{fingerprint(masks, in_colour)}.json"
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["values"], kept["in_colour"]
    in_colour = in_colour or any(parallel(is_coloured, masks))
    found = sorted(set[int]().union(*parallel(lambda mask: values_of(mask, in_colour), masks)))
    with contextlib.suppress(OSError):  # without a cache, masks are read again
        cache.mkdir(parents=True, exist_ok=True)
        for stale in cache.glob("values-*.json"):
            stale.unlink(missing_ok=True)
        write_text(path, json.dumps({"values": found, "in_colour": in_colour}))
    return found, in_colour


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
