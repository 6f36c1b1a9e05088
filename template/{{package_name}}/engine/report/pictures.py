"""Pictures of runs as data URLs, with as many steps of each as there is room for."""

import base64
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..runs.folder import FIGURES
from .thinning import thin_steps

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(kw_only=True, frozen=True)
class Picture:
    """A picture on the disk: its step, its path, and an upper bound of its bytes in the page."""

    step: int
    path: Path
    size: int


def find_pictures(run: Path) -> dict[str, list[Picture]]:
    """All pictures of a run: key to pictures by step."""
    found: dict[str, list[Picture]] = {}
    for path in (run / FIGURES).rglob("step-*.png"):
        if match := re.fullmatch(r"step-(\d+)", path.stem):
            key = path.parent.relative_to(run / FIGURES).as_posix()
            # Base64 makes four bytes of three; a character of a caption may become an escape of six.
            size = _size(path) * 4 // 3 + _size(path.with_suffix(".json")) * 6 + 300
            found.setdefault(key, []).append(Picture(step=int(match[1]), path=path, size=size))
    return {key: sorted(pictures, key=lambda picture: picture.step) for key, pictures in found.items()}


def choose_pictures(series: list[list[Picture]], room: int) -> list[list[Picture]]:
    """Thin out the steps evenly until all pictures fit; the newest of each series is given up last.

    Args:
        series: For each key of each run, the pictures by step.
        room: Number of bytes that all may take.

    Returns:
        As many lists, some of them empty if not even the newest ones fit.
    """
    fitting, left = [list(pictures) for pictures in series], room
    # Small pictures first, so that one huge picture does not crowd out all others.
    for pictures in sorted(fitting, key=lambda pictures: _total(pictures[-1:])):
        left -= _total(pictures[-1:])
        if left < 0:
            pictures.clear()
    chosen, num_steps = fitting, max(map(len, fitting), default=0)
    while sum(map(_total, chosen)) > room and num_steps > 1:
        num_steps = num_steps * 4 // 5
        chosen = [thin_steps(pictures, num_steps) for pictures in fitting]
    return chosen


def encode_picture(picture: Picture) -> dict[str, Any] | None:
    """A picture as plain values.

    Returns:
        ``step``, ``width`` and ``height`` in pixels, ``url``, and ``images``: box and caption of each image
        of a sheet. ``None`` if the file is missing or incomplete.
    """
    try:
        content = picture.path.read_bytes()
    except OSError:
        return None
    if not content.startswith(PNG_START) or not content.endswith(PNG_END):
        return None
    return {
        "step": picture.step,
        "width": int.from_bytes(content[16:20]),
        "height": int.from_bytes(content[20:24]),
        "url": "data:image/png;base64," + base64.b64encode(content).decode(),
        "images": _read_boxes(picture.path.with_suffix(".json")),
    }


def _read_boxes(path: Path) -> list[dict[str, Any]]:
    try:
        images = json.loads(path.read_text(encoding="utf-8"), parse_int=float)["images"]
        boxes = [[float(number) for number in image["box"]] for image in images]
        captions = [str(image["caption"]) for image in images]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if not all(len(box) == 4 and all(map(math.isfinite, box)) and min(box[2:]) > 0 for box in boxes):
        return []
    return [{"box": box, "caption": caption} for box, caption in zip(boxes, captions, strict=True)]


def _total(pictures: list[Picture]) -> int:
    return sum(picture.size for picture in pictures)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
