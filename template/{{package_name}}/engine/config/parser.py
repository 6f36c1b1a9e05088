"""A parser whose errors are one sentence each: expected, got, remedy."""

import re
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

import torch
from jsonargparse.typing import register_type
from pytorch_lightning import Callback, LightningDataModule, LightningModule
from pytorch_lightning.cli import LightningArgumentParser
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .. import PACKAGE
from ..augment import Augmentation
from ..contracts import ROOMS
from ..errors import InputError, input_error_in
from ..errors.tracebacks import describe_error
from ..trust.allowed import refusal
from .classes import subclasses
from .leaves import example_config

register_type(torch.device, str)  # an argument of callbacks; a config holds it as "cpu"
# For example the class weights of a loss: a list in a config.
register_type(Tensor, serializer=Tensor.tolist, deserializer=lambda values: torch.tensor(values).float())

BASES: dict[str, type] = {
    "data": LightningDataModule,
    "model": LightningModule,
    "callbacks": Callback,
    "logger": Logger,
    "lr_scheduler": LRScheduler,
    "optimizer": Optimizer,
    "criterion": nn.Module,
    "augment": Augmentation,
}

NO_OPTION = "no such option: "
OWN = f"a class of your own belongs in a file of {', '.join(ROOMS)}, or is named by its import path"
# Missing arguments to a simpler alternative.
INSTEAD = {
    "batch_size_fn": "instead, use Throughput, which needs none",
    "schedulers, milestones": "instead, let lr_scheduler be a list of schedules, one after the other",
}
# Where several types are allowed: reasons that say only that the value is not of one of them.
OTHER_SHAPE = re.compile("Type typing|Expected an? <class|Not a valid subclass")
# Packages that a config may name although `make init` does not install them.
OPTIONAL = {"pl_bolts": "lightning-bolts is not installed; run make init EXTRAS=dev,bolts"}


class Parser(LightningArgumentParser):
    """LightningCLI's parser; options must be written out, and errors are raised as ``InputError``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)
        self.hidden: list[str] = []
        self.below: Any = None  # the parsers of subcommands, if there are any

    def add_subcommands(self, *args: Any, **kwargs: Any) -> Any:
        """As in jsonargparse."""
        self.below = super().add_subcommands(*args, **kwargs)
        return self.below

    def format_help(self, formatter: Any = None) -> str:
        """The help text without ``hidden``, the options that exist but are of no use here."""
        text = super().format_help(formatter)
        for option in self.hidden:
            text = re.sub(rf"\s*\[{re.escape(option)}(?: [^\]]*)?\]", "", text)  # in the usage
            text = re.sub(rf"^  {re.escape(option)}\b.*\n(?:      +.*\n)*", "", text, flags=re.MULTILINE)
        return text

    def options(self) -> list[str]:
        """All options, such as ``--config``, and those of subcommands, as the help texts have them."""
        below = [
            option
            for parser in (self.below.choices if self.below else {}).values()
            for option in parser.options()
        ]
        return [*dict.fromkeys(re.findall(r"(?<![\w-])--[A-Za-z_][\w.]*", self.format_help())), *below]

    def error(self, message: str, ex: Exception | None = None) -> None:  # type: ignore[override]
        key = next(iter(re.findall(r'[Kk]ey "([^"]+)"', message)), "")
        if inner := input_error_in(ex):  # from the parser of a nested class
            text = str(inner)
            raise InputError(f"{key}: {text}" if key and key not in text else text) from ex
        raise InputError(self._sentence(message, key)) from ex

    def _sentence(self, message: str, key: str) -> str:
        if option := re.search(r"[Oo]ption '(.+?)'|unrecognized arguments: (\S+)", message):
            known = [option.removeprefix("--") for option in self.options()]
            name = (option[1] or option[2]).lstrip("-").partition("=")[0]
            if name == "stages" and "config" in known:
                return "expected a config without stages, which only fit and sweep take; remove them"
            return f"{NO_OPTION}{name!r}{_hint(name, known)}"
        if denied := re.search(r"Importing '([\w.]+)' is not allowed, denied by the '([\w.*]+)'", message):
            package = denied[1].partition(".")[0] if denied[2] == "*" else denied[2]
            if find_spec(package.partition(".")[0]) is None:
                return f"{key}: no module named {package!r}; correct {denied[1]!r}, or install it"
            return f"{key}: {refusal(denied[1])}; if you trust it: --allow {package}"
        missing = re.search(r"No module named '(\w+)'", message)
        if missing and missing[1] in OPTIONAL:
            return f"{key}: {OPTIONAL[missing[1]]}"
        if absent := re.search(r"File does not exist: '(.+)'", message):
            return f"{key}: no such file: {absent[1]}; see configs/"
        if missing := re.search(r"following arguments are required: ([\w, ]+)$", message):  # of a class
            instead = INSTEAD.get(missing[1], "give it")
            return f"expected {missing[1]} under init_args, got none; {instead}"
        if "required" in message:
            return f"{_plain(message)}; give a config: --config configs/{example_config()}"
        given = next(iter(re.findall(r"Given value: (.+)", message)), "")
        reasons = re.findall(r"^\s+- (.+)$", message.partition("Errors:")[2], flags=re.MULTILINE)
        reasons = [reason for reason in reasons if not OTHER_SHAPE.match(reason)] or reasons
        absent = re.search(r"has no attribute '(\w+)'", message)
        if absent or (reasons and "dot import path" in reasons[0]):
            named = re.search(r"class_path'?[=:] *'([\w.]+)'", given)
            given = absent[1] if absent else named[1] if named else given
            base = BASES.get(key.rpartition(".")[2], nn.Module)
            hint = _hint(given, [cls.__name__ for cls in subclasses(base)], OWN)
            return f"{key}: expected the name or import path of a class, got {given!r}{hint}"
        if reasons:
            if re.search(f", got |{NO_OPTION}", reasons[0]):  # ours, from the parser of a nested class
                return f"{key}: {reasons[0]}"
            got = "" if given.startswith("Namespace") else f", got {given!r}"
            return f"{key}: {_plain(reasons[0])}{got}; correct it in the config or on the command line"
        return _plain(message)


def import_rooms() -> None:
    """Import each file of the rooms whose classes a config may name without their module.

    Raises:
        InputError: A file cannot be imported; else a config that names one of its classes would be blamed.
    """
    for room in ROOMS:
        if find_spec(f"{PACKAGE}.{room}") is None:
            continue
        package = import_module(f"{PACKAGE}.{room}")
        for module in iter_modules(package.__path__, f"{PACKAGE}.{room}."):
            try:
                import_module(module.name)
            except Exception as error:
                path, why = module.name.replace(".", "/"), describe_error(error)
                raise InputError(f"{path}.py cannot be imported: {why}; correct or move it") from error


def _plain(message: str) -> str:
    text = re.sub(r'^Parser key "([^"]+)":', r"\1:", " ".join(message.split()))
    return re.sub(r"Expected an? <class '([\w.]+)'>", r"expected \1", text).replace(
        "Expected a typing.Literal", "expected one of "
    )


def _hint(name: str, known: list[str], otherwise: str = "see --help") -> str:
    by_end = {option.rpartition(".")[2]: option for option in known}
    close = get_close_matches(name, known, n=1) or [
        by_end[end] for end in get_close_matches(name.rpartition(".")[2], by_end, n=1)
    ]
    return f"; did you mean {close[0]}?" if close else f"; {otherwise}"


def known_classes() -> set[type]:
    """The classes that are imported and can be named in a config without their module."""
    return set().union(*map(subclasses, BASES.values()))
