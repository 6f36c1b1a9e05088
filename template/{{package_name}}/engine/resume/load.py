"""Reads checkpoints, which are plain data, safely, and makes a model from nothing but the file."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..contracts import DataDescription
from ..errors import InputError
from ..module import Module
from ..trust.allowed import import_allowed


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU; nothing in the file is executed.

    Raises:
        InputError: The file is missing, truncated, not a checkpoint, or holds more than plain data.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(
            f"expected a checkpoint in one file, got the folder {path} of a sharded model; train with "
            "ModelParallelStrategy with save_distributed_checkpoint=false, or FSDP with state_dict_type=full"
        )
    if not path.is_file():
        raise InputError(f"no such checkpoint: {path}; see the runs folder")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _is_pickled(path) and "Weights only load failed" in str(error):
            raise InputError(
                f"expected a checkpoint of plain data, got {path}, which wants to run code on "
                "loading; do not use it unless you trust where it comes from"
            ) from error
        raise InputError(_unreadable(path)) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise InputError(_unreadable(path)) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError(f"expected a checkpoint of a training run, got {path} without a state_dict")
    return checkpoint


def find_class(name: str, path: str | Path) -> Any:
    """The class of a model or datamodule that the checkpoint at ``path`` names by its import path.

    Raises:
        InputError: There is no such class, or the checkpoint may not name it.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_allowed(module), attribute)
    except InputError as error:
        raise InputError(f"{path} names a class that is not allowed: {error}") from error
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"expected a class of this project in {path}, got {name}: {error}") from error


def step_of(checkpoint: dict[str, Any]) -> int:
    """Number of batches trained on when the checkpoint was saved, including those of earlier stages."""
    return checkpoint.get("step", checkpoint["global_step"])


def load_model(path: str | Path) -> Module:
    """The trained model of a checkpoint, in evaluation mode on the CPU.

    Needs the class of the model and the file, but neither a config nor the command line.

    Raises:
        InputError: The file cannot be used, or holds no model of this project.
    """
    checkpoint = load_checkpoint(path)
    model = make_model(checkpoint, path)
    # A criterion may have weights, too, which predictions do not need.
    weights = {name: value for name, value in checkpoint["state_dict"].items() if name[:10] != "criterion."}
    check_weights(model, {"state_dict": weights}, path)
    model.load_state_dict(weights)
    return model.eval()


def make_model(checkpoint: Mapping[str, Any], path: str | Path) -> Module:
    """The model that a checkpoint describes, with newly initialised weights.

    Args:
        checkpoint: Its content, of which only what describes the model is used.
        path: Its path, for the message.

    Raises:
        InputError: It holds no model of this project.
    """
    name = str(checkpoint.get("model_class"))
    cls = find_class(name, path)
    if not (isinstance(cls, type) and issubclass(cls, Module)):
        raise InputError(f"expected a subclass of BaseModel in {path}, got {name}")
    data = DataDescription(**checkpoint.get("data", {}))
    arguments = dict(checkpoint.get("hyper_parameters", {}))
    model = cls(**arguments, data=data) if checkpoint.get("takes_data") else cls(**arguments)
    model.data, model.data_class = data, str(checkpoint.get("data_class"))
    return model


def check_weights(model: Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Refuse weights that do not fit ``model``.

    Raises:
        InputError: A tensor is missing, superfluous or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in checkpoint["state_dict"].items()}
    differing = sorted(name for name in expected | got if expected.get(name) != got.get(name))
    if differing:
        name, cls = differing[0], type(model).__name__
        raise InputError(
            f"expected weights of this {cls}, got {path} of another model: {len(differing)} tensors "
            f"differ, first {name}: expected {expected.get(name)}, got {got.get(name)}; use its own config"
        )


def _is_pickled(path: Path) -> bool:
    """Whether a file may be torch's: a zip archive, or in old versions a plain pickle."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80" or zipfile.is_zipfile(file)


def _unreadable(path: Path) -> str:
    return f"{path} is truncated or not a checkpoint; use another one"
