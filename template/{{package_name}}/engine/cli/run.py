"""Runs a command with plain output and errors of one line."""

from collections.abc import Mapping
from importlib import import_module

from .. import PACKAGE
from ..errors import InputError
from ..errors.one_line import exit_status
from .console import plain_output
from .start import Command


def run(args: list[str], commands: Mapping[str, Command]) -> int:
    """Run a command.

    Args:
        args: The command's name and what follows.
        commands: All that exist, by name.

    Returns:
        Exit status; an error in the input is one line on standard error.
    """

    def call() -> int:
        if (command := commands.get(args[0])) is not None:
            return import_module(f"{PACKAGE}.{command.module}").run(args)
        if args[0].startswith("-"):
            raise InputError(f"expected a command before {args[0]}, such as fit; see --help")
        raise InputError(f"expected one of {', '.join(commands)}, got {args[0]!r}; see --help")

    with plain_output():
        return exit_status(call)
