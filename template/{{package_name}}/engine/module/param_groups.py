"""Parameters by patterns of their names, each group with options of its own."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ..errors import InputError

# Patterns as in a shell, where `*` is any text, to options of the optimizer: `net.*` to `{"lr": 0.001}`.
GroupOptions = Mapping[str, Mapping[str, Any]]
PATTERN = "pattern"  # key of a group of an optimizer; not "name", which has to be another for each


class ParamGroups:
    """Which options the parameters of a model have: those of the first pattern that matches their name.

    Args:
        model: Has the parameters.
        options: By pattern.

    Raises:
        InputError: A pattern matches no name.
    """

    def __init__(self, model: nn.Module, options: GroupOptions | None) -> None:
        self.names = {parameter: name for name, parameter in model.named_parameters()}
        self.options = options or {}
        for pattern in self.options:
            if not any(fnmatchcase(name, pattern) for name in self.names.values()):
                raise InputError(
                    f"param_groups: expected a pattern of parameter names, got {pattern!r}, which matches "
                    f"none; there are {', '.join(list(self.names.values())[:3])}, ..."
                )

    def split(self, parameters: Iterable[nn.Parameter]) -> list[tuple[dict[str, Any], list[nn.Parameter]]]:
        """Options and members of each group; first of those that no pattern matches."""
        members: dict[str | None, list[nn.Parameter]] = {None: [], **{key: [] for key in self.options}}
        for parameter in parameters:
            name = self.names.get(parameter, "")
            found = (pattern for pattern in self.options if fnmatchcase(name, pattern))
            members[next(found, None)].append(parameter)
        own = {key: {PATTERN: key, **options} for key, options in self.options.items()}
        return [(dict(own.get(key or "", {})), group) for key, group in members.items() if group]

    def check(self, optimizer: Optimizer) -> None:
        """Refuse options that the optimizer does not know; torch would ignore them.

        Raises:
            InputError: There is one.
        """
        known = optimizer.defaults
        for pattern, options in self.options.items():
            if unknown := [name for name in options if name not in known]:
                raise InputError(
                    f"param_groups: expected options of {type(optimizer).__name__} for {pattern!r}, got "
                    f"{unknown[0]!r}; there are {', '.join(known)}"
                )
