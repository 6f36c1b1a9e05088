"""Groups of parameters by patterns of their names, each with its own options."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ..errors import InputError

# Shell patterns, where `*` is any text, to options of the optimizer: `net.*` to `{"lr": 0.001}`.
GroupOptions = Mapping[str, Mapping[str, Any]]
# Name of a layer to the factor of its learning rate, and the names of its parameters.
ScaledLayers = Mapping[str, tuple[float, frozenset[str]]]
PATTERN = "pattern"  # key in an optimizer's groups; not "name", which must be unique for LearningRateMonitor
SCALE = "lr_scale"  # option of a group besides the optimizer's own: a factor of its learning rate


class ParamGroups:
    """Options of a model's parameters: those of the first pattern that matches a parameter's name.

    Args:
        model: Has the parameters.
        options: Options by pattern; ``lr_scale`` is a factor of the optimizer's own rate.
        layers: Factors of the rate by layer, for parameters that no pattern matches.

    Raises:
        InputError: A pattern matches no name.
    """

    def __init__(
        self, model: nn.Module, options: GroupOptions | None, layers: ScaledLayers | None = None
    ) -> None:
        self.names = {parameter: name for name, parameter in model.named_parameters()}
        self.options, self.layers = options or {}, layers or {}
        for pattern in self.options:
            if not any(fnmatchcase(name, pattern) for name in self.names.values()):
                raise InputError(
                    f"param_groups: expected a pattern of parameter names, got {pattern!r}, which matches "
                    f"none; there are {', '.join(list(self.names.values())[:3])}, ..."
                )

    def split(self, parameters: Iterable[nn.Parameter]) -> list[tuple[dict[str, Any], list[nn.Parameter]]]:
        """Options and members of each group that has any; first the group that no pattern matches."""
        own: dict[str | None, dict[str, Any]] = {None: {}}
        own |= {key: {PATTERN: key, **options} for key, options in self.options.items()}
        own |= {key: {PATTERN: key, SCALE: scale} for key, (scale, _) in self.layers.items()}
        members: dict[str | None, list[nn.Parameter]] = {key: [] for key in own}
        for parameter in parameters:
            members[self._group_of(self.names.get(parameter, ""))].append(parameter)
        return [(dict(own[key]), group) for key, group in members.items() if group]

    def _group_of(self, name: str) -> str | None:
        patterns = (pattern for pattern in self.options if fnmatchcase(name, pattern))
        layers = (layer for layer, (_, names) in self.layers.items() if name in names)
        return next(patterns, next(layers, None))

    def check(self, optimizer: Optimizer) -> None:
        """Refuse options that the optimizer does not know; torch would ignore them.

        Raises:
            InputError: There is such an option.
        """
        known = [*optimizer.defaults, SCALE]
        for pattern, options in self.options.items():
            if unknown := [name for name in options if name not in known]:
                raise InputError(
                    f"param_groups: expected options of {type(optimizer).__name__} for {pattern!r}, got "
                    f"{unknown[0]!r}; there are {', '.join(known)}"
                )
