"""``show_batch``: a sheet of training images, with and without augmentation."""

import logging
import os
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from .cli.lightning import CLI
from .cli.trying import try_out
from .data import BatchedData
from .errors import InputError
from .runs.files import replacing

NUM_EXAMPLES, NUM_EPOCHS = 8, 4
LEAST, GAP, LINE = 96, 4, 14  # pixels: least side of an image, gap between images, height of a line
QUIET = ["logger=false", "callbacks=[]"]  # options of the Trainer that replace the user's
PICTURE = "show_batch.png"
log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Run ``show_batch``; the options are those of ``fit``.

    Raises:
        InputError: The data has no pictures; or as for ``fit``.
    """
    return try_out(ShowBatch, args, QUIET)


class ShowBatch(CLI):
    """``fit`` that only shows the images that it would train on."""

    def execute(self, subcommand: str) -> None:
        """Write the sheet and say where it is."""
        data = self.datamodule
        if not isinstance(data, BatchedData):
            name = type(data).__name__
            raise InputError(f"data: expected a BatchedData, got {name}, which cannot be shown")
        data.prepare_data()
        data.setup("fit")
        columns = see(data)
        path = self.run_folder / PICTURE
        with replacing(path) as partial:
            sheet(columns).save(partial, format="png")
        log.info(f"{NUM_EPOCHS} epochs of {len(columns['as it is'])} examples: {os.path.relpath(path)}")


def see(data: BatchedData) -> dict[str, Tensor]:
    """Pictures, ``(B, C, H, W)`` uint8, of a few training examples: unchanged, and augmented in each epoch.

    Raises:
        InputError: The examples have no pictures.
    """
    rows = torch.linspace(0, len(data.train_set) - 1, min(NUM_EXAMPLES, len(data.train_set))).long()
    batch = data.train_set[rows]
    seen = {"as it is": data.on_after_batch_transfer(batch, 0)}
    for epoch in range(NUM_EPOCHS):
        seen[f"epoch {epoch + 1}"] = data.on_after_batch_transfer(data.change(batch, epoch=epoch), 0)
    pictures = {name: found for name, one in seen.items() if (found := one.pictures()) is not None}
    if not pictures:
        raise InputError(f"expected images to show, got {type(batch).__name__}")
    return pictures


def sheet(columns: dict[str, Tensor]) -> Image.Image:
    """One picture: a column for each name, with its examples below; small images are enlarged."""
    tiles = {name: [_tile(image) for image in images] for name, images in columns.items()}
    heads = list(tiles)
    width, height = _largest([tile for column in tiles.values() for tile in column])
    num_rows = max(map(len, tiles.values()))
    size = (len(heads) * (width + GAP), LINE + num_rows * (height + GAP))
    whole = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(whole)
    for number, name in enumerate(heads):
        pen.text((number * (width + GAP), 0), name, fill="black")
        for row, tile in enumerate(tiles[name]):
            whole.paste(tile, (number * (width + GAP), LINE + row * (height + GAP)))
    return whole


def _largest(tiles: Sequence[Image.Image]) -> tuple[int, int]:
    return max(tile.width for tile in tiles), max(tile.height for tile in tiles)


def _tile(image: Tensor) -> Image.Image:
    pixels = image.cpu().permute(1, 2, 0).numpy()
    tile = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] != 3 else pixels))
    factor = -(-LEAST // min(tile.size))
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST).convert("RGB")
