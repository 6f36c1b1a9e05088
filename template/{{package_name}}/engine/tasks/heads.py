"""Predictions of several tasks in one: examples are ranked by the first, and the others come with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from functools import cache
from typing import Any, ClassVar

from torch import Tensor

from ..contracts import Example, Prediction
from ..errors import InputError

OWN_TARGET, MARK = "target", "__"  # the mark stands between a head's name and its field


@dataclass(frozen=True, kw_only=True)
class Head:
    """A prediction that is made from named outputs.

    Attributes:
        name: Name of the head.
        cls: Class of the prediction.
        outputs: Name of the output that ``from_outputs`` takes; empty if ``fields`` are given.
        fields: Names of outputs by field of the prediction.
        target: Name of the field or output that is its target; empty for that of the example.
    """

    name: str
    cls: type[Prediction]
    outputs: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    @property
    def names(self) -> list[str]:
        """All outputs and fields that it takes."""
        return [name for name in (self.outputs, *self.fields.values(), self.target) if name]

    def make(self, values: Mapping[str, Any]) -> Prediction:
        """The prediction.

        Raises:
            InputError: An output is missing or has the wrong shape.
        """
        if missing := [name for name in (self.outputs, *self.fields.values()) if name and name not in values]:
            raise InputError(f"prediction: no such output: {missing[0]}; there are {', '.join(values)}")
        try:
            if self.outputs:
                return self.cls.from_outputs(values[self.outputs])
            return self.cls(**{name: values[output] for name, output in self.fields.items()})
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"prediction: {self.name}: {error}") from error


def read_heads(specs: Mapping[str, Any], known: Mapping[str, type[Prediction]]) -> list[Head]:
    """Heads, as a config gives them by name.

    Args:
        specs: The name of a task to that of an output; or any name to ``task`` (a key of ``known``),
            ``outputs`` or ``fields``, and ``target``.
        known: Classes by their tasks.

    Raises:
        InputError: There is no head, a task is unknown, or a head is not given in this way.
    """
    heads = []
    for name, spec in specs.items():
        entry: dict[str, Any] = {"outputs": spec} if isinstance(spec, str) else dict(spec)
        task = str(entry.pop("task", name))
        if task not in known:
            raise InputError(f"prediction: no such task: {task}; there are {', '.join(known)}")
        if unknown := entry.keys() - {"outputs", "fields", "target"}:
            raise InputError(
                f"prediction: {name}: expected task, outputs, fields, target, got {min(unknown)}"
            )
        if bool(entry.get("outputs")) == bool(entry.get("fields")) or not name.isidentifier():
            raise InputError(f"prediction: {name}: expected a word with either outputs or fields, got {spec}")
        heads.append(Head(name=name, cls=known[task], **entry))
    if not heads:
        raise InputError(f"prediction: expected one, got none; there are {', '.join(known)}")
    return heads


def join(heads: Sequence[Head], kept: Sequence[str] = ()) -> type[Prediction]:
    """The class of the first head, extended by the others and by outputs that metrics take by name."""
    main, *others = heads
    own = tuple(name for name in kept if name not in {one.name for one in fields(main.cls)})
    parts = tuple((head.name, head.cls, bool(head.target)) for head in others)
    return _join(main.cls, parts, own) if parts or own else main.cls


def join_values(heads: Sequence[Head], kept: Sequence[str], values: Mapping[str, Any]) -> Prediction:
    """The prediction of all heads.

    Raises:
        InputError: An output is missing or has the wrong shape.
    """
    main, *others = (head.make(values) for head in heads)
    if (cls := join(heads, kept)) is heads[0].cls:
        return main
    further = {name: values[name] for name in kept if name not in main.tensors}
    for head, made in zip(heads[1:], others, strict=True):
        own = made.tensors | ({OWN_TARGET: values[head.target]} if head.target else {})
        further |= {f"{head.name}{MARK}{name}": value for name, value in own.items()}
    return cls(**main.tensors, **further)


class Joined(Prediction):
    """What the classes that ``join`` makes have in common."""

    origin: ClassVar[tuple[Any, ...]]  # what _join was called with

    def __reduce__(self) -> Any:
        return _rebuild, (self.origin, self.tensors)  # its class is in no module

    @classmethod
    def heads(cls) -> Mapping[str, type[Prediction]]:
        """The further predictions by name; metrics and columns of one begin with its name."""
        return {name: head for name, head, _ in cls.origin[1]}

    def head(self, name: str, example: Example) -> tuple[Example, Prediction]:
        """The example with the target of one of them, and that prediction."""
        start, tensors = f"{name}{MARK}", self.tensors
        own = {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}
        target = own.pop(OWN_TARGET, example.target)
        return replace(example, target=target), self.heads()[name](**own)

    def check(self, target: Tensor) -> None:
        super().check(target)
        for example, head in self._each(Example(target=target)):
            if example.target is not None:
                head.check(example.target)

    def draw_on(self, pictures: Tensor, example: Example) -> Tensor:
        pictures = super().draw_on(pictures, example)
        for own, head in self._each(example):
            pictures = head.draw_on(pictures, own)
        return pictures

    def captions(self, example: Example, names: Sequence[str]) -> list[str]:
        lines = super().captions(example, names)
        for name, (own, head) in zip(self.heads(), self._each(example), strict=True):
            further = head.captions(own, _numbered(head, names))
            lines = [
                f"{line}\n{name}: {more}" if more else line for line, more in zip(lines, further, strict=True)
            ]
        return lines

    def columns(self, names: Sequence[str], target: Tensor | None = None) -> dict[str, list[Any]]:
        found = super().columns(names, target)
        for name, (own, head) in zip(self.heads(), self._each(Example(target=target)), strict=True):
            if type(head).columns is not Prediction.columns:
                further = head.columns(_numbered(head, names), own.target)
                found |= {f"{name} {column}": values for column, values in further.items()}
        return found

    def _each(self, example: Example) -> list[tuple[Example, Prediction]]:
        return [self.head(name, example) for name in self.heads()]


def _numbered(head: Prediction, names: Sequence[str]) -> list[str]:
    """Names of a head's outputs: those of the data if there are as many, else numbers."""
    if (num := head.num_outputs) is None:
        return [*names]
    return [*names] if len(names) == num else [str(number) for number in range(num)]


@cache
def _join(
    main: type[Prediction], others: tuple[tuple[str, type[Prediction], bool], ...], kept: tuple[str, ...]
) -> type[Prediction]:
    further: list[Any] = [(name, Tensor | None, field(default=None)) for name in kept]
    further += [
        (f"{name}{MARK}{each}", Tensor | None, field(default=None))
        for name, cls, has_target in others
        for each in [*(one.name for one in fields(cls)), *([OWN_TARGET] if has_target else [])]
    ]
    name = "And".join([main.__name__, *(f"{label.title()}{cls.__name__}" for label, cls, _ in others), *kept])
    metrics = {
        f"{label}/{key}": each for label, cls, _ in others for key, each in cls.default_metrics.items()
    }
    space: dict[str, Any] = {
        "origin": (main, others, kept),
        "default_metrics": main.default_metrics | metrics,
    }
    if main.columns is Prediction.columns:  # what cannot be written is not offered
        space["columns"] = Prediction.columns
    return make_dataclass(name, further, bases=(Joined, main), kw_only=True, eq=False, namespace=space)


def _rebuild(origin: tuple[Any, ...], tensors: Mapping[str, Tensor]) -> Prediction:
    return _join(*origin)(**tensors)
