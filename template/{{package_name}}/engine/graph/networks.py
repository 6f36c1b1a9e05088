"""Makes the networks of a graph as a config describes them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from .. import PACKAGE
from ..config.classes import subclasses
from ..contracts import DataDescription, Example, Prediction
from ..errors import InputError
from ..module import Part
from ..module.networks import make_network
from ..module.parts import find_parts
from ..resume.load import load_checkpoint, load_model, make_model
from ..resume.restoring import NETWORKS, part_of
from ..runs.folder import find_checkpoint, find_run
from ..weights import load_weights

KEYS = {"class_path", "init_args", "weights", "run", "model"}
OF_MODEL = ("model_class", "hyper_parameters", "data", "data_class", "takes_data")  # keys of a checkpoint
RUNS = Path("runs")


class Trained(nn.Module):
    """A model of a run, as a network that takes the whole example."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, example: Example) -> Prediction:
        """What it predicts."""
        return self.model(example)


def make_networks(
    specs: Mapping[str, Any], data: DataDescription | None = None
) -> tuple[nn.ModuleDict, dict[str, Any]]:
    """Networks by name.

    Args:
        specs: By name, in their order: an import path, or the name of a class of the project; either with
            arguments (``class_path``, ``init_args``), and a file or a run to take its weights from
            (``weights``); a run (``run``), whose model takes the whole ``example``; or the name of an earlier
            network, to use it again.
        data: Passed to a class or function that has an argument ``data``.

    Returns:
        The networks, and specs that make them again when their weights are in a checkpoint.

    Raises:
        InputError: A network cannot be made, or there are none.
    """
    _check_names(specs)
    made, again = dict[str, nn.Module](), dict[str, Any]()
    for name, spec in specs.items():
        where = f"networks: {name}"
        if isinstance(spec, str) and spec in made:
            made[name], again[name] = made[spec], spec
            continue
        entry: dict[str, Any] = {"class_path": spec} if isinstance(spec, str) else dict(spec)
        if unknown := entry.keys() - KEYS:
            raise InputError(f"{where}: expected {', '.join(sorted(KEYS - {'model'}))}, got {min(unknown)}")
        if "run" in entry or "model" in entry:
            made[name], again[name] = _make_trained(entry, where)
            continue
        path = _find(str(entry.get("class_path")), where)
        given = dict(entry.get("init_args") or {})
        made[name] = make_network(path, given, where, data)
        again[name] = {"class_path": path, "init_args": given}
        if weights := entry.get("weights"):
            _take_weights(made[name], name, str(weights), where)
    return nn.ModuleDict(made), again


def freeze_others(named: Sequence[tuple[str, nn.Parameter]], parts: Mapping[str, Part]) -> None:
    """Freeze what no optimizer trains.

    Args:
        named: All parameters with their names.
        parts: Optimizers by name; empty if one trains all.

    Raises:
        InputError: An optimizer names a part that does not exist.
    """
    if not parts:
        return
    trained = {one for name, part in parts.items() for one in find_parts(named, part.parts or [name])}
    for _, parameter in named:
        parameter.requires_grad_(parameter in trained and parameter.requires_grad)


def evaluate_frozen(networks: nn.ModuleDict) -> None:
    """Put networks whose parameters are all frozen into evaluation mode."""
    for network in networks.values():
        own = list(network.parameters())  # without any, such as noise, it keeps its mode
        if own and not any(parameter.requires_grad for parameter in own):
            network.eval()


def _check_names(names: Collection[str]) -> None:
    if not names:
        raise InputError("networks: expected at least one, got none")
    if taken := [name for name in names if name in dir(nn.ModuleDict) or not name.isidentifier()]:
        raise InputError(
            f"networks: expected words that torch does not use itself, got {taken[0]}; rename it"
        )


def _make_trained(entry: Mapping[str, Any], where: str) -> tuple[nn.Module, dict[str, Any]]:
    if "run" not in entry:
        return Trained(make_model(entry["model"], where)), {"model": entry["model"]}
    path = _checkpoint_of(str(entry["run"]), where)
    checkpoint = load_checkpoint(path)
    return Trained(load_model(path).train()), {"model": {key: checkpoint.get(key) for key in OF_MODEL}}


def _take_weights(network: nn.Module, name: str, source: str, where: str) -> None:
    if Path(source).is_file() and Path(source).suffix != ".ckpt":
        return load_weights(network, source)
    path = _checkpoint_of(source, where)
    saved = load_checkpoint(path)["state_dict"]
    for prefix in (f"{NETWORKS}{name}.", f"{name}."):
        own = {key.removeprefix(prefix): value for key, value in saved.items() if key.startswith(prefix)}
        if own:
            break
    else:
        parts = sorted(set(map(part_of, saved)))
        raise InputError(f"{where}: no part {name} in {path}; there are {', '.join(parts)}")
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise InputError(
            f"{where}: the weights in {path} do not fit: {' '.join(str(error).split())}"
        ) from error
    return None


def _checkpoint_of(source: str, where: str) -> Path:
    if source == "latest":  # after a kill it would be this run
        raise InputError(f"{where}: expected the name or path of a run, got latest, which changes; name one")
    return Path(source) if Path(source).is_file() else find_checkpoint(find_run(source, RUNS), "best")


def _find(path: str, where: str) -> str:
    """The import path of a class; a class of the project may be given by its name alone."""
    if "." in path:
        return path
    found = {
        cls for cls in subclasses(nn.Module) if cls.__name__ == path and cls.__module__.startswith(PACKAGE)
    }
    if len(found) != 1:
        paths = " or ".join(sorted(f"{cls.__module__}.{path}" for cls in found))
        expected = f"one of {paths}" if found else "the name of a class in model/, or an import path"
        raise InputError(f"{where}: expected {expected}, got {path!r}")
    cls = found.pop()
    return f"{cls.__module__}.{cls.__qualname__}"
