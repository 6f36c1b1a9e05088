"""The parts of the engine that may be deleted; each is imported only when it is needed."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import CONFIGS, PACKAGE
from ..errors import InputError

ENGINE = Path(__file__).parents[1]
SHOWN = "digits.yaml"  # first choice for examples: it needs no download
# Names in a config that need a leaf, and that leaf.
NAMED = {"WandbRunLogger": "wandb", "BoltsData": "bolts", "pl_bolts.": "bolts"}


def leaf(name: str, module: str = "") -> Any:
    """A module of a leaf, or the leaf itself; ``None`` where it was deleted.

    It is imported by its name, so that the code that asks for it type-checks without it.
    """
    if not (ENGINE / name / "__init__.py").is_file():
        return None
    return import_module(".".join(filter(None, [PACKAGE, "engine", name, module])))


def import_named(args: list[str]) -> None:
    """Import the leaves whose classes a command line or one of its config files names.

    jsonargparse finds a class by its short name only once it is imported. A leaf's ``prepare`` may refuse.

    Raises:
        InputError: The config needs a leaf that was deleted, other than ``wandb``, which is left out.
    """
    paths = [Path(word.partition("=")[2] or word) for word in args]
    texts = [
        path.read_text("utf-8", "replace")
        for path in paths
        if path.suffix in (".yaml", ".yml") and path.is_file()
    ]
    text = "\n".join([*args, *texts])
    for name in _named_in(text):
        if (found := leaf(name)) is not None:
            found.prepare(text)
        elif name == "wandb":
            # The config of an earlier run names the logger by its module.
            absent = import_module(f"{PACKAGE}.engine.loggers.absent")
            sys.modules.setdefault(f"{PACKAGE}.engine.wandb.logger", absent)
        else:
            raise InputError(
                f"this config needs {PACKAGE}/engine/{name}, which this project does not have; use another "
                f"config, or add {name} to the options of the template (make update)"
            )


def example_config() -> str:
    """A file of configs/ that trains without any leaf, for help and errors."""
    for path in sorted(CONFIGS.glob("*.yaml"), key=lambda path: (path.name != SHOWN, path.name)):
        text = path.read_text("utf-8", "replace")
        if re.search("^model:", text, re.MULTILINE) and set(_named_in(text)) <= {"wandb"}:
            return path.name
    return "NAME.yaml"


def _named_in(text: str) -> list[str]:
    return list(dict.fromkeys(name for word, name in NAMED.items() if word in text))
