"""Predictions by a trained model, which needs nothing but its checkpoint."""

import argparse
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import torch

from ..contracts import DataModule
from ..errors import InputError, check_least
from ..errors.arguments import ArgumentParser
from ..errors.shortage import shortage
from ..errors.tracebacks import describe_error
from ..predict.inputs import expand, read_all
from ..predict.outputs import writing
from ..resume.load import find_class, load_model
from ..runs.folder import find_checkpoint, find_run
from ..trust.allowed import restrict

log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Predict the examples of files and folders; see ``predict --help``.

    The datamodule that the model was trained on decides what can be read, its prediction what is
    written.

    Raises:
        InputError: The checkpoint or an example cannot be used; nothing is written then.
    """
    options = _parse(args[1:])
    restrict(options.allow)
    path = Path(options.checkpoint)
    if not path.is_file():
        path = find_checkpoint(find_run(options.checkpoint, Path(options.runs)), prefer="best")
    num_predicted = predict(path, options)
    log.info(f"{num_predicted} predictions by {path} in {options.output}")
    return 0


def predict(path: Path, options: argparse.Namespace) -> int:
    """Write the predictions of the checkpoint at ``path`` and return their number."""
    device = _device(options.device)
    model, examples = load_model(path).to(device), expand(options.examples)
    data_class = _data_class(model.data_class, path)
    batches = read_all(
        data_class,
        examples,
        model.data,
        batch_size=options.batch_size,
        on_error=options.on_error,
        skipped=Path(f"{options.output}.skipped.txt"),
    )
    with (
        _naming(" ".join(options.examples)),
        writing(Path(options.output), examples, model.data, data_class.restore) as writer,
    ):
        for names, example in batches:
            with torch.inference_mode():
                writer.add(names, model(example.to(model.device)).to("cpu"))
    return writer.num_written


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name).item()  # fails on ``meta``, which holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:  # each backend raises its own
        raise InputError(
            f"expected --device to be a device of this machine, such as cpu, cuda or mps, got {name!r}; "
            f"{str(error).splitlines()[0]}"
        ) from error
    return torch.device(name)


@contextlib.contextmanager
def _naming(examples: str) -> Iterator[None]:
    """Name the examples in an error that they cause, since any file may be given.

    Raises:
        InputError: They cannot be read, or are not what the model takes.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError | InputError) or shortage(error):
            raise
        raise InputError(f"cannot predict {examples}: {describe_error(error)}") from error


def _data_class(name: str, path: Path) -> type[DataModule]:
    if name.startswith("builtins."):
        raise InputError(
            f"{path} was trained on plain loaders, which cannot read files; subclass BatchedData to predict"
        )
    cls = find_class(name, path)
    if not (isinstance(cls, type) and issubclass(cls, DataModule)):
        raise InputError(
            f"{path} was trained on {name}, which cannot read files; subclass BatchedData to predict"
        )
    return cls


def _parse(args: list[str]) -> argparse.Namespace:
    parser = ArgumentParser(
        prog="predict",
        description="Write a model's predictions to a CSV file: for classes, probabilities and entropy "
        "(nats); for pixels, the share of each class, and PNG masks in a folder named after the file.",
    )
    parser.add_argument("checkpoint", help="a checkpoint, or a run: latest, its name or its path")
    parser.add_argument(
        "examples", nargs="+", help="files, patterns such as 'photos/*.png', folders with their subfolders"
    )
    parser.add_argument("--output", default="predictions.csv", help="replaced if it exists (%(default)s)")
    parser.add_argument("--batch_size", type=int, default=256, help="examples at a time (%(default)s)")
    parser.add_argument(
        "--on_error",
        choices=("raise", "skip"),
        default="raise",
        help="skip: leave out what cannot be read, and list it in OUTPUT.skipped.txt (%(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="such as cuda (%(default)s)")
    parser.add_argument("--runs", default="runs", help="folder of all runs (%(default)s)")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PACKAGE", help="let the checkpoint name its classes"
    )
    options = parser.parse_args(args)
    check_least(1, batch_size=options.batch_size)
    return options
