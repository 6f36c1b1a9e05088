"""Classes of images by a trained model: a checkpoint is all it needs."""

import argparse
import csv
import logging
from collections.abc import Iterator
from pathlib import Path

import torch

from .data.images import find_images, read_image
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
    path = Path(options.checkpoint)
    if not path.is_file():
        path = find_checkpoint(find_run(options.checkpoint, Path(options.runs)), prefer="best")
    images = Path(options.images)
    files = [images] if images.is_file() else find_images(images)
    if not files:
        raise InputError(f"expected an image file or a folder with images, got {images}")
    model = load_model(path).to(options.device)
    partial = Path(f"{options.output}.partial")
    try:
        with partial.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "class", "probability", "entropy", *model.class_names])
            for batch, prediction in predict_files(model, files, options.batch_size):
                writer.writerows(_rows(batch, prediction, model.class_names))
        partial.replace(options.output)
    finally:
        partial.unlink(missing_ok=True)
    log.info(f"{len(files)} predictions by {path} in {options.output}")


@torch.inference_mode()
def predict_files(
    model: BaseModel, files: list[Path], batch_size: int = 256
) -> Iterator[tuple[list[Path], Prediction]]:
    """Predict image files in batches.

    Args:
        model: As of :func:`load_model`; its ``image_shape`` says how images are scaled.
        files: Paths of images.
        batch_size: Images at a time.

    Yields:
        The paths of a batch, and its prediction on the CPU.

    Raises:
        InputError: An image is corrupt, or the model was never trained on images.
    """
    if model.image_shape is None:
        raise InputError(
            "expected a model that was trained on images of one shape, got none in its checkpoint"
        )
    for start in range(0, len(files), batch_size):
        batch = files[start : start + batch_size]
        pixels = torch.stack([read_image(path, model.image_shape) for path in batch])
        yield batch, model(Example(image=pixels).to(model.device)).to("cpu")


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
    parser.add_argument("--device", default="cpu", help="such as cuda (%(default)s)")
    parser.add_argument("--runs", default="runs", help="folder of all runs (%(default)s)")
    return parser.parse_args(args)
