"""``--stages.NAME.KEY=VALUE``: keys of stages on the command line, over those of the config."""

from copy import deepcopy
from typing import Any

import yaml

from ..config.yaml import Loader
from ..errors import InputError

PREFIX = "--stages."
Option = tuple[str, str]  # what stands after the prefix, and its value as YAML


def take_stage_options(words: list[str]) -> list[Option]:
    """Remove them from ``words``, and return them in their order.

    Raises:
        InputError: One has no value.

    >>> words = ["--name=a", "--stages.head.until.epochs=3", "--stages.head.trainable", "head"]
    >>> take_stage_options(words), words
    ([('head.until.epochs', '3'), ('head.trainable', 'head')], ['--name=a'])
    """
    taken, rest = [], iter(words[:])
    words.clear()
    for word in rest:
        if not word.startswith(PREFIX):
            words.append(word)
            continue
        key, equals, value = word.partition("=")
        if not equals and (value := next(rest, "")) == "":
            raise InputError(f"expected a value after {word}, got none")
        taken.append((key.removeprefix(PREFIX), value))
    return taken


def with_options(stages: Any, options: list[Option]) -> Any:
    """Stages as a config has them, with what the command line says of them.

    Raises:
        InputError: There is no such stage, or a key is below something that has no keys.

    >>> with_options([{"name": "head"}], [("head.until.epochs", "3")])
    [{'name': 'head', 'until': {'epochs': 3}}]
    """
    if not options or not isinstance(stages, list):
        return stages
    stages = deepcopy(stages)
    by_name = {str(stage.get("name")): stage for stage in stages if isinstance(stage, dict)}
    for option, value in options:
        name = max((name for name in by_name if option.startswith(f"{name}.")), key=len, default=None)
        if name is None:
            raise InputError(
                f"{PREFIX}{option}: expected the name of a stage and a key, got others; there are the stages "
                f"{', '.join(by_name)}"
            )
        _set(by_name[name], option.removeprefix(f"{name}.").split("."), _read(option, value), option)
    return stages


def _set(place: dict[str, Any], keys: list[str], value: Any, option: str) -> None:
    for key in keys[:-1]:
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            raise InputError(f"{PREFIX}{option}: expected keys and values under {key}, got {place!r:.80}")
    place[keys[-1]] = value


def _read(option: str, value: str) -> Any:
    try:
        return yaml.load(value, Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{PREFIX}{option}: expected a value in YAML, got {value!r}") from error
