"""Networks from other packages: made by their import path, and fitted to the data."""

import inspect
from typing import Any, get_type_hints

from torch import nn

from ..contracts import DataDescription
from ..errors import InputError
from ..trust.allowed import import_allowed

OF_CONVOLUTIONS = ("kernel_size", "stride", "padding", "dilation", "padding_mode")


def make_network(
    path: str, args: dict[str, Any], key: str = "network", data: DataDescription | None = None
) -> nn.Module:
    """Call the class or function at an import path; anything else that a file names is not called.

    Args:
        path: Import path of an ``nn.Module`` or of a function that is annotated to return one.
        args: Its arguments.
        key: Key of the config, for the message.
        data: Passed as ``data`` if the class or function takes that and ``args`` lacks it.

    Raises:
        InputError: There is no such class or function, or it refuses its arguments.
    """
    module, _, name = path.rpartition(".")
    try:
        make = vars(import_allowed(module))[name]
        made = make if isinstance(make, type) else get_type_hints(make).get("return")
        if not (isinstance(made, type) and issubclass(made, nn.Module)):
            raise TypeError("neither an nn.Module nor a function that is annotated to return one")
        if data is not None and "data" in inspect.signature(make).parameters:
            args = {"data": data, **args}
        return make(**args)
    except (ImportError, KeyError, NameError, TypeError, ValueError) as error:
        raise InputError(f"{key}: cannot make {path}: {error}") from error


def fit_head(network: nn.Module, num_outputs: int) -> nn.Module:
    """Replace the last linear or convolutional layer by one with ``num_outputs``, unless it has that many.

    Returns:
        The network, changed in place; a new layer if it is a single one.

    Raises:
        InputError: There is no such layer.
    """
    name, layer = last_layer(network)
    has_bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        new: nn.Module = nn.Linear(layer.in_features, num_outputs, has_bias)
        num_known = layer.out_features
    else:
        num_known = layer.out_channels
        same = {name: vars(layer)[name] for name in OF_CONVOLUTIONS}
        new = nn.Conv2d(layer.in_channels, num_outputs, bias=has_bias, **same)
    if num_known == num_outputs:
        return network
    if not name:
        return new
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, new)
    return network


def last_layer(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Name and module of the last linear or convolutional layer.

    Raises:
        InputError: There is no such layer.
    """
    layers = [
        (name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    if not layers:
        raise InputError(f"network: no linear or convolutional layer to fit in {type(network).__name__}")
    return layers[-1]
