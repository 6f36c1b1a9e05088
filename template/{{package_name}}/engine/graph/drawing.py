"""A picture of a graph: what each network takes, how large it is, and which optimizer trains it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

from ..contracts import data_of
from ..foreign import batches_trained
from ..loggers import log_figure
from ..module import Part
from ..module.parts import matching
from .expressions import Call
from .losses import Term
from .wiring import Wiring

WIDTH, HEIGHT = 2.4, 1.1  # of a box with the space around it, in inches
FIELD, FROZEN, LOSS, INK = "#ffffff", "#d9d9d9", "#f2f2f2", "#555555"
ALL = "optimizer"
# Light tints of Okabe and Ito's palette.
COLOURS = ("#9fd3f2", "#f6c98f", "#9fdcc4", "#f2e68a", "#e3b5d1", "#eaa889")


@dataclass
class Box:
    """A network, a field or a loss in the picture.

    Attributes:
        lines: Its text.
        colour: Tells which optimizer trains it.
        inputs: The index of each box whose output it takes, and the label of the arrow.
        column: One more than the last column of its inputs; 0 without inputs.
    """

    lines: list[str]
    colour: str
    inputs: list[tuple[int, str]] = field(default_factory=list)
    column: int = 0


class DrawGraph(Callback):
    """Logs the picture of a graph in the first batches of a run, as soon as all shapes are known.

    Args:
        wiring: The graph.
        networks: Networks by name.
        terms: Losses by name.
        parts: Optimizers by name; empty if one trains all.
    """

    def __init__(
        self, wiring: Wiring, networks: nn.ModuleDict, terms: Mapping[str, Term], parts: Mapping[str, Part]
    ) -> None:
        self.wiring, self.networks, self.terms, self.parts = wiring, networks, terms, parts
        self._is_drawn = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        is_due = self.wiring.is_seen and not self._is_drawn
        # A resumed run on several data sets draws the picture again, which replaces the first.
        if is_due and (batches_trained(trainer) == 1 or data_of(trainer).sources):
            self._is_drawn = True
            self._send(trainer)

    def _send(self, trainer: Trainer) -> None:
        if trainer.is_global_zero and trainer.loggers:
            picture = draw(boxes_of(self.wiring, self.networks, self.terms, self.parts), [*self.parts])
            for logger in trainer.loggers:
                log_figure(logger, "graph", picture, 0)


def boxes_of(
    wiring: Wiring, networks: nn.ModuleDict, terms: Mapping[str, Term], parts: Mapping[str, Part]
) -> list[Box]:
    """The boxes of fields, calls of networks and losses, each after its inputs.

    Args:
        wiring: The graph, after it has run.
        networks: Networks by name.
        terms: Losses by name.
        parts: Optimizers by name; empty if one trains all.
    """
    boxes, makers = list[Box](), dict[str, dict[str, int]]()  # by names of outputs, then by sources
    faces = _faces(networks, parts)

    def add(box: Box) -> int:
        boxes.append(box)
        box.column = max((boxes[place].column + 1 for place, _ in box.inputs), default=0)
        return len(boxes) - 1

    def inputs_of(value: Call | str, own: Collection[str]) -> list[tuple[int, str]]:
        if isinstance(value, Call):
            return [(call(value, own), "")]
        if value not in makers:
            makers[value] = {"": add(Box([value, wiring.shapes.get(value, "")], FIELD))}
        label = _label(value, wiring) if value in wiring.outputs else ""
        return [(place, label) for source, place in makers[value].items() if not own or source in ("", *own)]

    def call(made: Call, own: Collection[str]) -> int:
        lines, colour = faces.get(made.network, ([], FIELD))
        inputs = [one for value in made.values for one in inputs_of(value, own)]
        return add(Box([made.network, *lines, *_feeds(own)], colour, inputs))

    for node in wiring.nodes:
        made = {node.source: call(node.call, [node.source] if node.source else [])}
        makers |= {name: makers.get(name, {}) | made for name in node.names}
    for name, term in terms.items():
        weight = f"times {term.weight:g}" if term.weight else "logged only"
        inputs = [one for value in term.names for one in inputs_of(value, term.sources)]
        add(Box([f"loss {name}", type(term.criterion).__name__, weight, *_feeds(term.sources)], LOSS, inputs))
    return boxes


def draw(boxes: list[Box], optimizers: list[str]) -> Image.Image:
    """Draw the boxes from left to right, with an arrow from each to those that take its output.

    Args:
        boxes: At least one.
        optimizers: Names of the optimizers, in the order of their colours.
    """
    num_columns = 1 + max(box.column for box in boxes)
    columns = [[box for box in boxes if box.column == column] for column in range(num_columns)]
    places = {
        id(box): (number * WIDTH, (len(column) / 2 - row - 0.5) * HEIGHT)
        for number, column in enumerate(columns)
        for row, box in enumerate(column)
    }
    tallest = max(map(len, columns))
    figure = Figure(figsize=(WIDTH * len(columns), HEIGHT * tallest + 0.5), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(
        xlim=(-WIDTH / 2, (len(columns) - 0.5) * WIDTH),
        ylim=(-tallest / 2 * HEIGHT - 0.1, tallest / 2 * HEIGHT + 0.4),
    )
    texts = [_draw_box(axes, box, places[id(box)]) for box in boxes]
    for box, text in zip(boxes, texts, strict=True):
        for place, label in box.inputs:
            _draw_arrow(axes, texts[place], text, label)
    handles = [Patch(facecolor=_hue(number), label=name) for number, name in enumerate(optimizers or [ALL])]
    axes.legend(handles=handles, loc="upper right", ncols=6, frameon=False, fontsize=8)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _draw_box(axes: Axes, box: Box, at: tuple[float, float]) -> Text:
    style = {"boxstyle": "round,pad=0.4", "facecolor": box.colour, "edgecolor": INK}
    return axes.text(
        *at, "\n".join(filter(None, box.lines)), ha="center", va="center", fontsize=8, bbox=style
    )


def _draw_arrow(axes: Axes, start: Text, end: Text, label: str) -> None:
    begin, to = start.get_position(), end.get_position()
    arrow = {"arrowstyle": "->", "color": INK, "shrinkA": 1, "shrinkB": 2}
    patches = {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
    axes.annotate("", to, begin, arrowprops=arrow | patches, zorder=4)  # boxes have a size by then
    if label:
        middle = (begin[0] + to[0]) / 2, (begin[1] + to[1]) / 2
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
        axes.text(*middle, label, ha="center", va="center", fontsize=7, bbox=paper)


def _faces(networks: nn.ModuleDict, parts: Mapping[str, Part]) -> dict[str, tuple[list[str], str]]:
    """The lines below the name of each network, and its colour."""
    named = list(networks.named_parameters(remove_duplicate=False))
    patterns = {key: part.parts or [key] for key, part in parts.items()} or {ALL: [*networks]}
    found = {key: matching(named, own).keys() for key, own in patterns.items()}
    faces: dict[str, tuple[list[str], str]] = {}
    for name, network in networks.items():
        size = sum(parameter.numel() for parameter in network.parameters())
        trained = {one for one in network.parameters() if one.requires_grad}
        owners = [key for key in patterns if trained & found[key]]
        who = f"trained by {', '.join(owners)}" if owners else "frozen"
        colour = _hue([*patterns].index(owners[0])) if owners else FROZEN
        faces[name] = ([f"{size:,} parameters", who], colour) if size else (["no parameters"], FIELD)
    return faces


def _feeds(sources: Collection[str]) -> list[str]:
    return [f"of {', '.join(sources)}"] if sources else []


def _label(name: str, wiring: Wiring) -> str:
    return f"{name}\n{shape}" if (shape := wiring.shapes.get(name)) else name


def _hue(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
