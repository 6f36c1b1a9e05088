"""Arrays to pictures: pure functions without Lightning or a logger."""

import textwrap
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

from .engine.loggers import Sheet

DPI = 100
MAX_WRITTEN = 16  # classes up to which each cell of a confusion matrix is written out
NUM_CONFUSIONS = 12
MAX_NAMES = 100  # beside an axis
MAX_NAME = 18  # characters of a class name beside an axis
TILE = range(96, 193)  # pixels of an image's longer side on a sheet
GAP = 12
COLUMNS = 4
FONT_SIZE = 12
TEXT_WIDTH, TEXT_SIZES, TEXT_LINES = 288, (26, 18, 14), 40  # of a text that is drawn as a picture
# Okabe and Ito's palette, which the colour-blind can tell apart.
BLUE, ORANGE = "#0072B2", "#D55E00"
INK, GREY, PAPER = "#222222", "#8a8a8a", "#ffffff"


def image_sheet(
    images: Sequence[Image.Image], captions: Sequence[str], *, as_they_are: bool = False
) -> Sheet:
    """Draw images in rows of four, each with its caption.

    Small images are enlarged without smoothing, large ones are reduced.

    Args:
        images: At least one.
        captions: One per image, of a few short lines.
        as_they_are: Do neither: texts are already drawn at a readable size.

    Example:
        >>> image_sheet([Image.new("L", (8, 8))] * 2, ["zero", "one"]).boxes
        [(12, 12, 96, 96), (120, 12, 96, 96)]
    """
    tiles = [image if as_they_are else _to_tile(image) for image in images]
    font = _font()
    length = 44 if as_they_are else 26
    lines = [[_shorten(line, length) for line in caption.splitlines()] for caption in captions]
    line_height = round(FONT_SIZE * 1.35)
    widths = [max((font.getlength(line) for line in text), default=0.0) for text in lines]
    width = max(*(tile.width for tile in tiles), round(max(widths)))
    height = max(tile.height for tile in tiles)
    text_height = line_height * max(map(len, lines)) + GAP // 2
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    size = GAP + columns * (width + GAP), GAP + rows * (height + text_height + GAP)
    picture, boxes = Image.new("RGB", size, PAPER), []
    draw = ImageDraw.Draw(picture)
    for number, (tile, text) in enumerate(zip(tiles, lines, strict=True)):
        x = GAP + number % columns * (width + GAP)
        y = GAP + number // columns * (height + text_height + GAP)
        picture.paste(tile, (x, y))
        boxes.append((x, y, *tile.size))
        for row, line in enumerate(text):
            place = x, y + height + GAP // 2 + row * line_height
            draw.text(place, line, fill=INK if row == 0 else GREY, font=font)
    return Sheet(images, captions, picture, boxes)


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], title: str = "") -> Figure:
    """Shares of the true classes as colours, with percentages and counts in the cells.

    With more than 16 classes the cells are too small to write into: the most frequent errors are listed.

    Args:
        counts: ``(K, K)`` integers, a row per true class and a column per predicted one. A row without an
            example stays empty.
        class_names: ``K`` names.
        title: Comes above the matrix, before the accuracy.

    Raises:
        ValueError: There is not one name per class.
    """
    if (num_classes := len(counts)) != len(class_names):
        raise ValueError(f"expected {num_classes} class names, got {len(class_names)}; give one per class")
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [_name(name) for name in class_names]
    is_written = num_classes <= MAX_WRITTEN
    side = max(1.2, 0.55 * num_classes) if is_written else min(max(4, 0.13 * num_classes), 13)  # inches
    figure = Figure(figsize=(side + (1.5 if is_written else 5), side + 1.5), dpi=DPI, layout="constrained")
    if is_written:
        axes = figure.subplots()
    else:
        axes, beside = figure.subplots(1, 2, width_ratios=[side, 2.6])
        _write_confusions(beside, counts, shares, names)
    # The square root, or a tenth of a class would look like nothing.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    font_size = 8 if is_written else max(6, min(8, 72 * 0.8 * side / num_classes))
    is_narrow = max(map(len, names)) * font_size * 0.65 / 72 > side / num_classes
    step = -(-num_classes // MAX_NAMES)
    axes.set_xticks(range(0, num_classes, step), names[::step], rotation=90 if is_narrow else 0)
    axes.set_yticks(range(0, num_classes, step), names[::step])
    axes.tick_params(labelsize=font_size, length=0)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"{title}\n{_accuracy(counts)}".strip(), fontsize=10)
    if is_written:
        _write_cells(axes, counts, shares)
    return figure


def error_vs_entropy(bins: np.ndarray, *, uce: float, ece: float, title: str = "") -> Figure:
    """Error rate and number of examples per bin of uncertainty; calibrated bars end at the diagonal.

    Args:
        bins: ``(3, M)`` examples, errors and summed uncertainty per bin of equal width on ``[0, 1]``.
        uce: Uncertainty calibration error, for the title.
        ece: Expected calibration error, for the title.
        title: Comes before both.
    """
    count, errors, _ = bins
    num_bins = len(count)
    edges = np.arange(num_bins) / num_bins
    rate = np.divide(errors, count, out=np.zeros(num_bins), where=count > 0)
    figure = Figure(figsize=(5, 5), dpi=DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    bar: dict[str, Any] = {"width": 1 / num_bins, "align": "edge", "edgecolor": "white"}
    upper.bar(edges, rate, color=BLUE, label="error rate", **bar)
    upper.plot([0, 1], [0, 1], color=ORANGE, linestyle="--", label="calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="error rate")
    upper.legend(loc="upper left", frameon=False, fontsize=8)
    values = f"UCE {uce:.3f}   ECE {ece:.3f}"
    upper.set_title(f"{title}\n{values}" if title else values, fontsize=10)
    lower.bar(edges, count, color=GREY, **bar)
    for edge, number in zip(edges, count, strict=True):
        if number:
            place = edge + 0.5 / num_bins, number
            lower.annotate(_count(number), place, (0, 1), textcoords="offset points", ha="center", fontsize=6)
    lower.set(xlabel="entropy / largest entropy", ylabel="examples")
    lower.margins(y=0.25)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure


def pil_image(pixels: np.ndarray) -> Image.Image:
    """An image of ``(C, H, W)`` uint8 pixels: grey with one or two channels, else the first three as RGB."""
    if len(pixels) < 3:
        return Image.fromarray(np.ascontiguousarray(pixels[0]))
    return Image.fromarray(np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))


def text_tile(text: str) -> Image.Image:
    """A text as a picture: long ones are taller and in smaller letters; cut at some 1,200 characters."""
    size, lines = TEXT_SIZES[0], [""]
    for size in TEXT_SIZES:
        lines = textwrap.wrap(text or "(empty)", int(TEXT_WIDTH / size * 1.6))
        if len(lines) * size <= TEXT_WIDTH / 2:
            break
    lines = [*lines[: TEXT_LINES - 1], "…"] if len(lines) > TEXT_LINES else lines
    height = max(TEXT_WIDTH // 4, round(len(lines) * size * 1.35)) + GAP
    picture = Image.new("RGB", (TEXT_WIDTH, height), "#f2f2f2")
    draw = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        draw.text((GAP // 2, GAP // 2 + row * size * 1.35), line, fill=INK, font=_font(size))
    return picture


def to_image(figure: Figure) -> Image.Image:
    """The figure as RGB pixels."""
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a script that the font lacks
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _accuracy(counts: np.ndarray) -> str:
    total = counts.sum()
    return f"{np.trace(counts) / total:.1%} of {total:,} are right" if total else "no labelled example"


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.3 else INK
            text = f"{_percent(float(shares[row, column]))}\n{_count(count)}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)


def _write_confusions(axes: Axes, counts: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> None:
    """List the largest errors if there are too many cells to write into."""
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(wrong, axis=None, kind="stable")[::-1][:NUM_CONFUSIONS]
    lines = []
    for true, predicted in np.argwhere(wrong >= 0)[order].tolist():
        if count := int(wrong[true, predicted]):
            share = _percent(float(shares[true, predicted]))
            lines += [f"{names[true]} → {names[predicted]}", f"    {_count(count)}, {share} of the class"]
    axes.axis("off")
    axes.text(0, 1, "Most frequent errors\n\n" + "\n".join(lines), va="top", fontsize=8, linespacing=1.4)


def _to_tile(image: Image.Image) -> Image.Image:
    longer = max(image.size)
    if longer < TILE.start:
        factor = -(-TILE.start // longer)
        size = image.width * factor, image.height * factor
        return image.resize(size, Image.Resampling.NEAREST)
    if longer >= TILE.stop:
        factor = (TILE.stop - 1) / longer
        size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
        return image.resize(size, Image.Resampling.BOX)
    return image


@cache
def _font(size: int = FONT_SIZE) -> ImageFont.FreeTypeFont:
    # matplotlib's own, which has Greek, Cyrillic and accents.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def _shorten(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _name(text: str) -> str:
    """A class name as matplotlib draws it: short, and a dollar sign starts no formula."""
    return _shorten(text, MAX_NAME).replace("$", r"\$")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or share == 0 else "<1%"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number < 10_000 else f"{number / 1000:,.0f}k"
