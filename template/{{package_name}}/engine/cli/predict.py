"""Classes of images by a trained model: a checkpoint is all it needs."""

import argparse
import csv
import logging
from collections.abc import Iterator
from pathlib import Path

import torch

from ..contracts import AnyPrediction
from ..data.image_files import OnError, find_images, read_images, refuse, warn_skipped
from ..errors import InputError
from ..errors.arguments import ArgumentParser
from ..module import Module
from ..resume.load import load_model
from ..runs.files import replacing
from ..runs.folder import find_checkpoint, find_run
from ..trust.allowed import restrict

log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Predict images; see ``predict --help``.

    Raises:
        InputError: The checkpoint or an image cannot be used; nothing is written then.
    """
    options = _parse(args[1:])
    restrict(options.allow)
    path = Path(options.checkpoint)
    if not path.is_file():
        path = find_checkpoint(find_run(options.checkpoint, Path(options.runs)), prefer="best")
    images = Path(options.images)
    files = [images] if images.is_file() else find_images(images)
    if not files:
        raise InputError(f"expected an image file or a folder with images, got {images}")
    model, num_predicted = load_model(path).to(options.device), 0
    listing = Path(f"{options.output}.skipped.txt")
    with replacing(Path(options.output)) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        for batch, prediction in predict_files(model, files, options.batch_size, options.on_error, listing):
            columns = {"path": batch, **prediction.columns(model.class_names)}
            if not num_predicted:
                writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
            num_predicted += len(batch)
    log.info(f"{num_predicted} predictions by {path} in {options.output}")
    return 0


def predict_files(
    model: Module,
    files: list[Path],
    batch_size: int = 256,
    on_error: OnError = "raise",
    listing: Path = Path("skipped.txt"),
) -> Iterator[tuple[list[Path], AnyPrediction]]:
    """Predict image files in batches.

    Args:
        model: As of ``load_model``; the shape of its data says how images are scaled.
        files: Paths of images.
        batch_size: Images at a time.
        on_error: ``skip`` leaves out the images that cannot be read, ``raise`` refuses them at the end.
        listing: File that names the images that were left out.

    Yields:
        The paths of a batch, and its prediction on the CPU.

    Raises:
        InputError: An image is corrupt, or all are, or the model was never trained on images.
    """
    if (shape := model.data.image_shape) is None:
        raise InputError(
            "expected a model that was trained on images of one shape, got none in its checkpoint"
        )
    unreadable: dict[Path, InputError] = {}
    for start in range(0, len(files), batch_size):
        batch = files[start : start + batch_size]
        pixels = torch.empty((len(batch), *shape), dtype=torch.uint8)
        unreadable |= read_images(batch, pixels)
        rows = [row for row, path in enumerate(batch) if path not in unreadable]
        if rows and not (unreadable and on_error == "raise"):  # else the others are only counted
            with torch.inference_mode():
                prediction = model(model.make_example(pixels[rows]).to(model.device)).to("cpu")
            yield [batch[row] for row in rows], prediction
    if on_error == "raise" or len(unreadable) == len(files):
        refuse(unreadable, len(files), "--on_error=skip")
    warn_skipped(list(unreadable), len(files), listing)


def _parse(args: list[str]) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="predict",
        description="Write the class, probabilities and entropy (nats) of images to a CSV file.",
    )
    parser.add_argument("checkpoint", help="a checkpoint, or a run: latest, its name or its path")
    parser.add_argument("images", help="an image, or a folder that is searched with its subfolders")
    parser.add_argument("--output", default="predictions.csv", help="replaced if it exists (%(default)s)")
    parser.add_argument("--batch_size", type=int, default=256, help="images at a time (%(default)s)")
    parser.add_argument(
        "--on_error",
        choices=("raise", "skip"),
        default="raise",
        help="skip: leave out images that cannot be read, and list them in OUTPUT.skipped.txt (%(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="such as cuda (%(default)s)")
    parser.add_argument("--runs", default="runs", help="folder of all runs (%(default)s)")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PACKAGE", help="the model may be of it"
    )
    return parser.parse_args(args)
