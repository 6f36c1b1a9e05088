"""Links a model's arguments to its data: each argument whose name the datamodule knows is taken from there.

jsonargparse needs links before it parses, so the two classes are first looked up in the configs and on the
command line; what is not found there is left to the parser, which says what is wrong.
"""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.cli import LightningArgumentParser

from ..contracts import DataDescription, DataModule
from ..errors import InputError
from ..errors.tracebacks import describe_error
from ..trust.allowed import import_allowed
from .classes import subclasses
from .leaves import example_config, import_named
from .parser import NO_OPTION
from .yaml import Loader


class Linker:
    """Adds links to a parser, which may parse several command lines, as in a search.

    Args:
        parser: The parser of a subcommand.
    """

    def __init__(self, parser: LightningArgumentParser) -> None:
        self.parser = parser
        self._linked: set[str] = set()

    def parse(self, args: list[str]) -> Any:
        """The config that a command line gives."""
        self.link(args)
        with explaining(args):
            return self.parser.parse_args(args)

    def link(self, args: list[str]) -> None:
        """Link each argument of the model that the datamodule knows or that has no default.

        An argument that is given is not linked: the link would silently replace it.
        """
        import_named(args)
        model, given = _find(args, "model", LightningModule)
        data, _ = _find(args, "data", LightningDataModule)
        if model is None or data is None:
            return
        known = [data, *_find_sources(args)]
        for name, parameter in arguments_of(model).items():
            is_missing = parameter.default is inspect.Parameter.empty
            if name not in self._linked | given and (is_missing or any(_knows(cls, name) for cls in known)):
                self._linked.add(name)
                target = f"model.init_args.{name}"
                self.parser.link_arguments("data", target, _getter(parameter), apply_on="instantiate")


@contextlib.contextmanager
def explaining(args: list[str]) -> Iterator[None]:
    """Say why there is no option for an argument that the class takes.

    jsonargparse reads the source of ``__init__`` to learn where ``**kwargs`` goes, and gives up if it is
    not passed on unchanged.

    Raises:
        InputError: The error as it was, or with the reason; or the environment is not UTF-8.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # not of a config: linking read them all as UTF-8
        raise InputError(
            f"expected a UTF-8 environment, got {error.encoding}; unset PYTHONUTF8, or set LC_ALL=C.UTF-8"
        ) from error
    except InputError as error:
        unknown = re.search(rf"{NO_OPTION}'(\w+)'", str(error))
        for key, base in (("model", LightningModule), ("data", LightningDataModule)):
            cls, given = _find(args, key, base)
            if unknown and cls and unknown[1] in given and unknown[1] in arguments_of(cls):
                raise InputError(
                    f"{key}: {unknown[1]} cannot be an option, since {cls.__name__} changes its **kwargs; "
                    "pass them on unchanged: super().__init__(..., **kwargs)"
                ) from error
        raise


def arguments_of(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments of a class by name, with those of its bases as far as ``**kwargs`` reaches them."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        kinds = {parameter.kind for parameter in parameters}
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter)
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return found


def _getter(parameter: inspect.Parameter) -> Callable[[LightningDataModule], Any]:
    """A function that takes the value of a model's argument from a datamodule."""
    name = parameter.name

    def get(data: LightningDataModule) -> Any:
        described = data.describe() if isinstance(data, DataModule) else None
        if name == "data" and described is not None:
            # jsonargparse builds a dataclass from a dict of its fields. If None is allowed, too, it would
            # read text in the fields as YAML, but takes an instance as it is.
            is_alone = parameter.annotation in (DataDescription, DataDescription.__name__)
            return asdict(described) if is_alone else described
        for places in ([data], _sources_of(data), [described]):
            found = [getattr(place, name) for place in places if place is not None and hasattr(place, name)]
            if any(other != found[0] for other in found):
                raise InputError(
                    f"model: {name}: the sources have {' and '.join(map(str, found))}; give it in the config"
                )
            if found:
                return found[0]
        raise InputError(
            f"model: no value for {name}: give it in the config, or as an attribute of {type(data).__name__}"
        )

    return get


def _sources_of(data: LightningDataModule) -> list[Any]:
    return list(data.sources.values()) if isinstance(data, DataModule) else []


def _find_sources(args: list[str]) -> list[type]:
    """The classes of the datamodules that take turns, from ``data.init_args.sources`` of the configs."""
    found: list[type | None] = []
    for word, value in _pairs(args):
        data = read_config(value).get("data") if word in ("--config", "-c") else None
        sources = (data.get("init_args") or {}).get("sources") if isinstance(data, dict) else None
        for spec in sources.values() if isinstance(sources, dict) else ():
            name = spec.get("class_path") if isinstance(spec, dict) else spec
            found.append(_resolve(str(name), LightningDataModule))
    return [cls for cls in found if cls is not None]


def _knows(data: type, name: str) -> bool:
    if name == "data":
        return issubclass(data, DataModule)
    annotated = any(name in vars(base).get("__annotations__", {}) for base in data.__mro__)
    return annotated or hasattr(data, name) or name in arguments_of(data)


def _find(args: list[str], key: str, base: type) -> tuple[type | None, set[str]]:
    """The class that a command line names under ``key``, and which of its arguments it gives."""
    name, given = "", set[str]()
    for word, value in _pairs(args):
        if word in ("--config", "-c"):
            spec = read_config(value).get(key)
            spec = {"class_path": spec} if isinstance(spec, str) else spec if isinstance(spec, dict) else {}
            name = spec.get("class_path") or name
            given |= set(spec.get("init_args") or {})
        elif word in (f"--{key}", f"--{key}.class_path"):
            name = value
        elif word.startswith(f"--{key}."):
            given.add(word.removeprefix(f"--{key}.").removeprefix("init_args.").partition(".")[0])
    return _resolve(name, base), given


def _resolve(name: str, base: type) -> type | None:
    module, _, attribute = name.rpartition(".")
    if not module:
        return next((cls for cls in subclasses(base) if cls.__name__ == name), None)
    try:
        found = vars(import_allowed(module)).get(attribute)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{module}.".startswith(f"{error.name}."):  # an import inside it
            raise InputError(f"{name} cannot be imported: {error}") from error
        return None
    except InputError:
        return None
    except Exception as error:  # whatever the user's module raises
        raise InputError(f"{name} cannot be imported: {describe_error(error)}") from error
    return found if isinstance(found, type) else None


def _pairs(args: list[str]) -> Iterator[tuple[str, str]]:
    """Options with their values, written as ``--a=b`` or ``--a b``."""
    for number, word in enumerate(args):
        option, equals, value = word.partition("=")
        if word.startswith("-"):
            yield option, value if equals else " ".join(args[number + 1 : number + 2])


def read_config(path: str) -> dict[str, Any]:
    """The content of a config; empty if there is no such file, which the parser reports.

    Raises:
        InputError: It is not UTF-8, not YAML, or not a mapping.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader)
    except OSError:
        return {}
    except UnicodeDecodeError as error:
        got = f"{error.reason} (byte {error.start}); save it as UTF-8"
        raise InputError(f"expected UTF-8 text in {path}, got {got}") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise InputError(
            f"expected YAML in {path}, got: {reason}; indent with spaces, close brackets"
        ) from error
    if not isinstance(content, dict):
        got = "none" if content is None else repr(content)
        raise InputError(f"expected keys and values in {path}, got {got:.80}; see configs/{example_config()}")
    return content
