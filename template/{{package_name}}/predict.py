"""Classes of images by a trained model: a checkpoint is all it needs."""

import argparse
import csv
import logging
from collections.abc import Iterator
from pathlib import Path

import torch

from .allowed import restrict
from .data.images import OnError, find_images, read_images, refuse, warn_skipped
from .errors import InputError
from .model import BaseModel, load_model
from .runs import find_checkpoint, find_run
from .structs import Example, Prediction

log = logging.getLogger(__name__)


def predict(args: list[str]) -> None:
    """Predict images from the command line; see ``predict --help``.

    Raises:
        InputError: The checkpoint or an image cannot be used; nothing is written then.
    """
    options = _parse(args)
    restrict(options.allow)
    path = Path(options.checkpoint)
    if not path.is_file():
        path = find_checkpoint(find_run(options.checkpoint, Path(options.runs)), prefer="best")
    images = Path(options.images)
    files = [images] if images.is_file() else find_images(images)
    if not files:
        raise InputError(f"expected an image file or a folder with images, got {images}")
    model, num_predicted = load_model(path).to(options.device), 0
    partial = Path(f"{options.output}.partial")
    try:
        with partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "class", "probability", "entropy", *model.class_names])
            for batch, prediction in predict_files(
                model, files, options.batch_size, options.on_error, Path(f"{options.output}.skipped.txt")
            ):
                writer.writerows(_rows(batch, prediction, model.class_names))
                num_predicted += len(batch)
        partial.replace(options.output)
    finally:
        partial.unlink(missing_ok=True)
    log.info(f"{num_predicted} predictions by {path} in {options.output}")


def predict_files(
    model: BaseModel,
    files: list[Path],
    batch_size: int = 256,
    on_error: OnError = "raise",
    listing: Path = Path("skipped.txt"),
) -> Iterator[tuple[list[Path], Prediction]]:
    """Predict image files in batches.

    Args:
        model: As of ``load_model``; its ``image_shape`` says how images are scaled.
        files: Paths of images.
        batch_size: Images at a time.
        on_error: ``skip`` leaves out the images that cannot be read, ``raise`` refuses them at the end.
        listing: File that names the images that were left out.

    Yields:
        The paths of a batch, and its prediction on the CPU.

    Raises:
        InputError: An image is corrupt, or all are, or the model was never trained on images.
    """
    if model.image_shape is None:
        raise InputError(
            "expected a model that was trained on images of one shape, got none in its checkpoint"
        )
    unreadable: dict[Path, InputError] = {}
    for start in range(0, len(files), batch_size):
        batch = files[start : start + batch_size]
        pixels = torch.empty((len(batch), *model.image_shape), dtype=torch.uint8)
        unreadable |= read_images(batch, pixels)
        rows = [row for row, path in enumerate(batch) if path not in unreadable]
        if rows and not (unreadable and on_error == "raise"):  # else the others are only counted
            with torch.inference_mode():
                prediction = model(Example(image=pixels[rows]).to(model.device)).to("cpu")
            yield [batch[row] for row in rows], prediction
    if on_error == "raise" or len(unreadable) == len(files):
        refuse(unreadable, len(files), "--on_error=skip")
    warn_skipped(list(unreadable), len(files), listing)


def _rows(paths: list[Path], prediction: Prediction, names: list[str]) -> Iterator[list[object]]:
    classes, confidence = prediction.classes.tolist(), prediction.confidence.tolist()
    entropy, probs = prediction.entropy.tolist(), prediction.probs.tolist()
    for path, label, top, nats, row in zip(paths, classes, confidence, entropy, probs, strict=True):
        yield [path, names[label], f"{top:.6f}", f"{nats:.6f}", *(f"{value:.6f}" for value in row)]


def _parse(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
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
