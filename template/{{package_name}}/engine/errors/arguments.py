"""Command lines that need no config."""

import argparse
from typing import NoReturn

from . import InputError


class ArgumentParser(argparse.ArgumentParser):
    """Raises ``InputError`` if arguments are wrong; options cannot be abbreviated."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")
