"""The layers of a network from its input to its head, their learning rates, and when they are trained."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from ..module.param_groups import ScaledLayers

HEAD = "head"


def layers_of(network: nn.Module, head: tuple[str, ...]) -> list[list[str]]:
    """Names of the parameters of each layer but the head, from the input on.

    As timm groups them. In networks without such a grouping, a layer is what shares a name up to a number:
    ``layer1.0`` of a ResNet, ``features.3`` of an EfficientNet. Parameters without a number belong to the
    layer before them, or to the first one, and a normalisation belongs to the layer before it.
    """
    groups: Mapping[Any, list[str]]
    matcher: Callable[..., Any] | None = vars(type(network)).get("group_matcher")
    if matcher is None:
        groups = _by_numbers(network)
    else:
        from timm.models import group_parameters

        groups = group_parameters(network, matcher(network, coarse=False))
    inside = tuple(f"{name}." for name in head)
    layers = [[name for name in groups[key] if not name.startswith(inside)] for key in sorted(groups)]
    return [layer for layer in layers if layer]


def scale_layers(
    layers: Sequence[Sequence[str]], *, decay: float, factor: float, prefix: str
) -> ScaledLayers:
    """The learning rate of each layer: ``factor``, times ``decay`` for each layer from the head down to it.

    Args:
        layers: Layers of the backbone; the head keeps the optimizer's rate.
        decay: 1 for the same rate in all layers.
        factor: Relative to the rate of the head.
        prefix: Put before the names.

    References:
        Clark et al., "ELECTRA", ICLR 2020 (layer-wise decay).
    """
    if decay == factor == 1:
        return {}
    named = [frozenset(prefix + name for name in layer) for layer in layers]
    if decay == 1:
        return {"backbone": (factor, frozenset().union(*named))}
    return {
        f"layer_{number}": (factor * decay ** (len(named) - number), names)
        for number, names in enumerate(named)
    }


def num_frozen(num_layers: int, epoch: int, freeze_epochs: int, thaw_epochs: int) -> int:
    """How many layers are frozen in an epoch, counted from the input.

    Args:
        num_layers: Number of layers of the backbone.
        epoch: Number of the epoch, from 0.
        freeze_epochs: For how many epochs all of them are frozen; -1 for all epochs.
        thaw_epochs: Over how many more epochs they thaw from the top down; 0 for all at once.

    Example:
        >>> num_frozen(10, 4, freeze_epochs=2, thaw_epochs=3)
        3
    """
    if freeze_epochs < 0 or epoch < freeze_epochs:
        return num_layers
    return num_layers - num_layers * min(epoch - freeze_epochs + 1, thaw_epochs + 1) // (thaw_epochs + 1)


def _by_numbers(network: nn.Module) -> dict[int, list[str]]:
    named: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        found = re.match(r"(?:.*?\.)?[^.]*?\d+(?=\.)", name)
        named.setdefault(found[0] if found else next(reversed(named), ""), []).append(name)
    layers: list[list[str]] = [[]]
    before = ""
    for key, names in named.items():
        is_norm = all(network.get_parameter(name).ndim <= 1 for name in names)
        if before and not is_norm:
            layers.append([])
        layers[-1] += names
        before = key
    return dict(enumerate(layers))
