"""Networks of timm and torchvision, with heads that fit the data and the input that their weights expect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal, cast

import torchvision
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from ..errors import InputError
from ..errors.tracebacks import describe_error
from ..module.networks import fit_head, last_layer
from ..weights import read_weights, skips_weights
from .weights import PACKAGES, Packaged, strip, take_weights

Interpolation = Literal["nearest", "bilinear", "bicubic"]
TORCHVISION = "torchvision.models."
NO_STATISTICS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # until those of the data are known


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network, and the input that its weights expect.

    Attributes:
        network: Takes ``(B, 3, H, W)`` float, returns ``(B, K)``.
        head: Name of its last layer; several names if a network has several heads.
        args: Arguments that make it again without weights.
        mean: Mean of the photos that the weights were trained on, per channel, of pixels in ``[0, 1]``.
        std: Standard deviation of those photos, likewise.
        interpolation: The interpolation by which those photos were scaled.
        num_known: Number of outputs of the weights.
    """

    network: nn.Module
    head: tuple[str, ...]
    args: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = NO_STATISTICS[0]
    std: tuple[float, ...] = NO_STATISTICS[1]
    interpolation: Interpolation = "bilinear"
    num_known: int | None = None


def make_backbone(
    name: str,
    weights: str | None,
    num_outputs: int | None,
    args: Mapping[str, Any],
    *,
    drop_path: float = 0.0,
    image_size: int | None = None,
) -> Backbone:
    """A network by its name, with weights.

    Args:
        name: A name of timm, or ``torchvision.models.NAME``.
        weights: ``hub``, ``package``, a file, or ``None`` for random ones.
        num_outputs: Outputs of its head; ``None`` leaves the head as it is.
        args: Further arguments of the network.
        drop_path: Probability that training skips the last block; earlier blocks have lower ones.
        image_size: Height and width of the input, for networks that are made for one size.

    Raises:
        InputError: There is no such network, it refuses its arguments, or its weights cannot be read.
    """
    packaged = _packaged(name) if weights == "package" else None
    if name.startswith(TORCHVISION):
        given = {**args, "stochastic_depth_prob": drop_path} if drop_path else args
        made = _make_of_torchvision(name, weights == "hub", num_outputs, given)
    else:
        given = {**(packaged.args if packaged else {}), **args}
        given |= {"drop_path_rate": drop_path} if drop_path else {}
        made = _make_of_timm(name, weights == "hub", num_outputs, given, image_size)
    if weights is None or skips_weights():
        return made
    if num_outputs != made.num_known:
        _begin_small(made)
    return made if weights == "hub" else _with_weights(made, weights, packaged)


def resize(image: Tensor, size: int | None, interpolation: str) -> Tensor:
    """``(B, C, size, size)``, antialiased, of the type of ``image`` ``(B, C, H, W)``; itself for ``None``."""
    if size is None or image.shape[-2:] == (size, size):
        return image
    return functional.resize(image, [size, size], InterpolationMode(interpolation), antialias=True)


def _make_of_timm(
    name: str, from_hub: bool, num_outputs: int | None, args: Mapping[str, Any], image_size: int | None
) -> Backbone:
    import timm  # takes a second

    if not timm.is_model(name):
        raise _unknown(name.partition(".")[0], timm.list_models(), f"of timm, or {TORCHVISION}NAME")
    given = dict(args)
    try:
        config = vars(timm.get_pretrained_cfg(name))
        if config["fixed_input_size"] and image_size and "img_size" not in given:
            given["img_size"] = image_size  # timm fits the position embeddings
        classes = {} if num_outputs is None else {"num_classes": num_outputs}
        network = timm.create_model(name, pretrained=from_hub and not skips_weights(), **classes, **given)
    except OSError as error:
        raise _no_hub(name, error) from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"name: cannot make {name}: {describe_error(error)}") from error
    head = config["classifier"]
    if not head:
        raise InputError(f"name: expected a network with a head, got {name}, which has none; take another")
    return Backbone(
        network=network,
        head=(head,) if isinstance(head, str) else tuple(head),
        args=given,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=_as_known(config["interpolation"]),
        num_known=config["num_classes"],
    )


def _make_of_torchvision(
    name: str, from_hub: bool, num_outputs: int | None, args: Mapping[str, Any]
) -> Backbone:
    short, known = name.removeprefix(TORCHVISION), torchvision.models.list_models(torchvision.models)
    if short not in known:
        raise _unknown(name, [TORCHVISION + one for one in known], "of torchvision")
    given: Any = torchvision.models.get_model_weights(short)
    try:
        network = torchvision.models.get_model(short, weights=None, **args)
        if from_hub and not skips_weights():
            network.load_state_dict(given.DEFAULT.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise _no_hub(name, error) from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"name: cannot make {name}: {describe_error(error)}") from error
    head, layer = last_layer(network)
    if num_outputs is not None:
        network = fit_head(network, num_outputs)
    wanted = given.DEFAULT.transforms()
    return Backbone(
        network=network,
        head=(head,),
        args=args,
        mean=tuple(wanted.mean),
        std=tuple(wanted.std),
        interpolation=_as_known(wanted.interpolation.value),
        num_known=layer.weight.shape[0],
    )


def _with_weights(made: Backbone, path: str, packaged: Packaged | None) -> Backbone:
    mean, std = (packaged.mean, packaged.std) if packaged else (made.mean, made.std)
    if packaged:
        take_weights(made.network, packaged.read(), made.head, packaged.package, in_order=True)
    else:
        given = strip(read_weights(path))
        mean, std = (given.pop(f"normalize.{key}", old) for key, old in (("mean", mean), ("std", std)))
        take_weights(made.network, given, made.head, path)
    return replace(made, mean=tuple(map(float, mean)), std=tuple(map(float, std)))


def _begin_small(made: Backbone) -> None:
    """Begin a new head with small weights, so that its first errors do not spoil the layers below."""
    for name, layer in made.network.named_modules():
        if name in made.head and isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _packaged(name: str) -> Packaged:
    if found := PACKAGES.get(name):
        return found
    raise InputError(
        f"weights: expected one of {', '.join(PACKAGES)} for weights of a package, got {name}; give hub, or "
        "a file"
    )


def _as_known(name: str) -> Interpolation:
    return cast(Interpolation, name) if name in ("nearest", "bilinear", "bicubic") else "bicubic"


def _unknown(name: str, known: Iterable[str], where: str) -> InputError:
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InputError(f"name: expected a network {where}, got {name!r}{hint}")


def _no_hub(name: str, error: Exception) -> InputError:
    return InputError(
        f"weights: cannot fetch those of {name}: {describe_error(error)[:200]}; go online, or give a file"
    )
