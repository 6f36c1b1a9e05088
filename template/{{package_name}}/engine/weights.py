"""Initial weights from a file."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import InputError
from .errors.tracebacks import describe_error

_skips = [False]


def load_weights(network: nn.Module, path: str) -> None:
    """Load the weights of a file into a network, unless ``skips_weights()``.

    Raises:
        InputError: The file cannot be read, or holds weights of another network.
    """
    if skips_weights():
        return
    try:
        network.load_state_dict(read_weights(path))
    except (RuntimeError, TypeError) as error:
        raise InputError(f"weights: cannot load {path}: {describe_error(error)}") from error


def read_weights(path: str) -> dict[str, Tensor]:
    """The tensors in a file by name: a ``state_dict``, a checkpoint that has one, or safetensors.

    Raises:
        InputError: There is no such file, or it does not hold tensors by name.
    """
    if not Path(path).is_file():
        raise InputError(f"weights: cannot load {path}: no such file")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file  # pyright: ignore[reportMissingImports]

            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything for a file of another kind
        raise InputError(f"weights: cannot load {path}: {describe_error(error)}") from error
    for key in ("state_dict", "model"):
        found = found[key] if isinstance(found, dict) and isinstance(found.get(key), dict) else found
    if not (isinstance(found, dict) and found and all(isinstance(one, Tensor) for one in found.values())):
        raise InputError(f"weights: expected tensors by name in {path}, as state_dict() gives them")
    return found


def skip_weights(skip: bool) -> None:
    """Make networks without reading ``weights``, whose file may be gone, since a checkpoint has them all."""
    _skips[0] = skip


def skips_weights() -> bool:
    """Whether ``weights`` are left unread."""
    return _skips[0]
