"""Checkpoints that are plain data: read safely, and a model from nothing but the file."""

import pickle
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
        InputError: The file is missing, cut short, no checkpoint, or holds more than plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected a checkpoint, got {path}, which is no file; see the runs folder")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "Weights only load failed" in str(error):
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


def load_model(path: str | Path) -> Module:
    """The trained model of a checkpoint, in evaluation mode on the CPU.

    Needs the class of the model and the file, and neither config nor command line.

    Raises:
        InputError: The file cannot be used, or holds no model of this project.
    """
    checkpoint = load_checkpoint(path)
    name = str(checkpoint.get("model_class"))
    module, _, attribute = name.rpartition(".")
    try:
        cls = getattr(import_allowed(module), attribute)
    except InputError as error:
        raise InputError(f"{path} names a class of a model that it may not: {error}") from error
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"expected a model of this project in {path}, got class {name}: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Module)):
        raise InputError(f"expected a subclass of BaseModel in {path}, got {name}")
    model = cls(**checkpoint.get("hyper_parameters", {}))
    check_weights(model, checkpoint, path)
    model.load_state_dict(checkpoint["state_dict"])
    data = checkpoint.get("data") or {}
    model.data = model.data.updated(DataDescription(**data))
    return model.eval()


def check_weights(model: Module, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Refuse weights that do not fit ``model``.

    Raises:
        InputError: A parameter is missing, superfluous or of another shape.
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


def _unreadable(path: Path) -> str:
    return f"expected a whole checkpoint, got {path}, which is cut short or no checkpoint; use another one"
