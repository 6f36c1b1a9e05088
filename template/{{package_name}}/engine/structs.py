"""The common base of all structs: a dataclass of tensors that share their first axis."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional

from .foreign import register_pytree


@dataclass(kw_only=True, eq=False)
class TensorStruct:
    """A batch: tensors (or ``None``) whose first axis is the batch; one example is a batch of one.

    Not frozen, because Lightning rebuilds batches field by field under some precisions; treat it as
    immutable all the same and use ``dataclasses.replace``. Methods cover every tensor field, including
    those a subclass adds.

    Attributes:
        fills: Value that pads an int64 field when batches of different sizes are joined, by field; else 0.

    Raises:
        ValueError: The tensors disagree about the size of the batch.
    """

    fills: ClassVar[Mapping[str, int]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register_pytree(cls, _flatten, partial(_unflatten, cls))  # for torch.export and torch.compile

    def __post_init__(self) -> None:
        sizes = {name: value.shape[0] for name, value in self.tensors.items() if value.ndim}
        first = next(iter(sizes.values()), 0)
        if any(size != first for size in sizes.values()):
            raise ValueError(
                f"{type(self).__name__}: all fields must have one batch size, got {sizes}; "
                "the first axis of each tensor is the batch"
            )

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The fields that hold a tensor, by name; a ``None`` field is left out."""
        values = vars(self)
        return {name: values[name] for name in _names_of(type(self)) if isinstance(values[name], Tensor)}

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """A copy with ``function`` applied to each tensor."""
        return replace(self, **{name: function(value) for name, value in self.tensors.items()})

    def to(self, device: torch.device | str, *, non_blocking: bool | None = None) -> Self:
        """A copy on ``device``; copies to CUDA do not block by default, others must."""
        device = torch.device(device)
        wait = device.type != "cuda" if non_blocking is None else not non_blocking
        return self.map(lambda tensor: tensor.to(device, non_blocking=not wait))

    def pin_memory(self) -> Self:
        """A copy in page-locked memory. A ``DataLoader`` calls this; without it, it would pin nothing."""
        return self.map(Tensor.pin_memory)

    def detach(self) -> Self:
        """A copy that shares memory and carries no gradient."""
        return self.map(Tensor.detach)

    def __len__(self) -> int:
        """Size of the batch; 0 for an empty batch."""
        return next(value.shape[0] for value in self.tensors.values())

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> Self:
        """The examples at ``rows``, as a batch; an ``int`` gives a batch of one, a tensor counts from 0.

        Raises:
            IndexError: An index is outside the batch.
        """
        if isinstance(rows, int):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"index {rows} is outside a batch of {len(self)}")
            rows = slice(rows, rows + 1 or None)
        if isinstance(rows, Tensor) and not rows.dtype.is_floating_point and rows.dtype != torch.bool:
            return self.map(lambda tensor: tensor.index_select(0, rows))  # many times as fast for pixels
        return self.map(lambda tensor: tensor[rows])

    @classmethod
    def cat(cls, batches: Sequence[Self]) -> Self:
        """One batch of all examples in order; tensors shorter on other axes are padded by ``fills``, or 0.

        Raises:
            ValueError: There are no batches, or a field is a tensor in some and ``None`` in others.
        """
        if not batches:
            raise ValueError(f"{cls.__name__}.cat needs at least one batch, got none")
        names = batches[0].tensors.keys()
        if any(batch.tensors.keys() != names for batch in batches):
            raise ValueError(f"{cls.__name__}.cat: each batch must have the fields {sorted(names)}")
        pieces = {name: [batch.tensors[name] for batch in batches] for name in names}
        joined = {name: torch.cat(_fill_up(some, cls.fills.get(name, 0))) for name, some in pieces.items()}
        return replace(batches[0], **joined)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor without the batch."""
        return {name: tuple(value.shape[1:]) for name, value in self.tensors.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(value.nbytes for value in self.tensors.values())


@cache
def _names_of(cls: type[TensorStruct]) -> tuple[str, ...]:
    """Names of the fields; cached, since each step asks for them several times."""
    return tuple(field.name for field in fields(cls))


def _fill_up(tensors: list[Tensor], value: int) -> list[Tensor]:
    """Tensors ``(B, ...)`` that agree on all axes but the first: ``value``, if int64, pads shorter ones."""
    shapes = [tensor.shape[1:] for tensor in tensors]
    if all(shape == shapes[0] for shape in shapes) or len(set(map(len, shapes))) > 1:
        return tensors
    sizes = [max(axis) for axis in zip(*shapes, strict=True)]
    padded = []
    for tensor in tensors:
        missing = [size - own for size, own in zip(sizes, tensor.shape[1:], strict=True)]
        sides = [side for number in reversed(missing) for side in (0, number)]
        padded.append(functional.pad(tensor, sides, value=value if tensor.dtype == torch.int64 else 0))
    return padded


def _flatten(struct: TensorStruct) -> tuple[list[Any], list[str]]:
    names = list(_names_of(type(struct)))
    return [vars(struct)[name] for name in names], names


def _unflatten(cls: type[TensorStruct], values: Iterable[Any], names: list[str]) -> TensorStruct:
    struct = object.__new__(cls)  # unchecked: a tree may hold anything in place of the tensors
    vars(struct).update(zip(names, values, strict=True))
    return struct
