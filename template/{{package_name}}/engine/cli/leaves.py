"""The parts of the engine that may be deleted, found when they are wanted and never before."""

from importlib import import_module
from pathlib import Path
from typing import Any

from .. import PACKAGE

ENGINE = Path(__file__).parents[1]
# What a config may name of a leaf, by words that stand in no other config.
NAMED = {"WandbRunLogger": "wandb", "BoltsData": "bolts", "pl_bolts.": "bolts"}


def leaf(name: str, module: str = "") -> Any:
    """A module of a leaf, or the leaf itself; ``None`` where it was deleted.

    It is imported by its name, so that the code that asks for it is right without it, too.
    """
    if not (ENGINE / name / "__init__.py").is_file():
        return None
    return import_module(".".join(filter(None, [PACKAGE, "engine", name, module])))


def import_named(args: list[str]) -> None:
    """Import the leaves whose classes a command line or one of its config files names.

    jsonargparse finds by its short name only what is imported. Each leaf's ``prepare(text)`` may refuse.
    """
    paths = [Path(word.partition("=")[2] or word) for word in args]
    texts = [
        path.read_text("utf-8", "replace")
        for path in paths
        if path.suffix in (".yaml", ".yml") and path.is_file()
    ]
    text = "\n".join([*args, *texts])
    for name in dict.fromkeys(leaf_name for word, leaf_name in NAMED.items() if word in text):
        if (found := leaf(name)) is not None:
            found.prepare(text)
        elif name == "wandb":
            import_module(f"{PACKAGE}.engine.loggers.absent")
