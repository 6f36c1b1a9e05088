"""Lines of a graph, such as ``logits: head(encoder(image))``: parsed as Python, but never executed."""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InputError

DETACH, WHOLE = "detach", "example"  # a function, and the name of the whole example


@dataclass(frozen=True)
class Call:
    """A network, and what it is called with: names, or calls of other networks."""

    network: str
    args: tuple["Call | str", ...]
    kwargs: tuple[tuple[str, "Call | str"], ...]

    @property
    def values(self) -> tuple["Call | str", ...]:
        """Its arguments: positional ones, then keyword ones."""
        return *self.args, *(value for _, value in self.kwargs)

    def networks(self) -> Iterator[str]:
        """The networks that are called, inner ones first."""
        for value in self.values:
            if isinstance(value, Call):
                yield from value.networks()
        yield self.network

    def names(self) -> Iterator[str]:
        """The names it takes, also in inner calls."""
        for value in self.values:
            yield from value.names() if isinstance(value, Call) else [value]


@dataclass(frozen=True)
class Node:
    """A line of the graph.

    Attributes:
        names: Names of the outputs.
        call: The call that makes them.
        text: The line as it is written.
        source: The data set whose batches it is for; empty for all.
    """

    names: tuple[str, ...]
    call: Call
    text: str
    source: str = ""


def of_source(nodes: Sequence[Node], source: str) -> list[Node]:
    """The lines for the batches of a source."""
    return [node for node in nodes if node.source in ("", source)]


def read_graph(graph: Mapping[str, str | Mapping[str, str]], networks: Collection[str]) -> list[Node]:
    """The lines of a graph in their order.

    Args:
        graph: Names of outputs, separated by commas, to a call, or to one call for each source.
        networks: The names of all networks.

    Raises:
        InputError: A line is not a call of networks, takes its own or a later output, or makes an output
            whose name is taken; or a network is not used.
    """
    nodes = [
        _read(key, str(text), str(source))
        for key, made in graph.items()
        for source, text in (made.items() if isinstance(made, Mapping) else [("", made)])
    ]
    for node in nodes:
        for name in node.call.networks():
            if name not in (*networks, DETACH):
                known = ", ".join(networks)
                raise InputError(f"graph: {node.text}: no such network: {name}; there are {known}")
    for source in dict.fromkeys(node.source for node in nodes):
        own = of_source(nodes, source)
        names = [name for node in own for name in node.names]
        if taken := [name for name in names if names.count(name) > 1 or name in (DETACH, WHOLE)]:
            raise InputError(
                f"graph: expected a name of its own for each output, got {taken[0]}, used twice or reserved"
            )
        _check_order(own)
    used = {name for node in nodes for name in node.call.networks()}
    if unused := [name for name in networks if name not in used]:
        raise InputError(f"graph: the network {unused[0]} is not used; call it, or leave it out")
    return nodes


def _read(key: str, text: str, source: str) -> Node:
    names = tuple(name.strip() for name in key.split(","))
    line = f"{key}: {source}: {text}" if source else f"{key}: {text}"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        tree = None
    if not isinstance(tree, ast.Call) or not all(map(str.isidentifier, names)):
        raise InputError(
            f"graph: expected names and a call of a network, such as code: encoder(image), got {line}"
        )
    return Node(names, _call(tree, line), line, source)


def _call(tree: ast.Call, line: str) -> Call:
    def value(part: ast.expr) -> Call | str:
        if isinstance(part, ast.Name):
            return part.id
        if isinstance(part, ast.Call):
            return _call(part, line)
        raise InputError(
            f"graph: {line}: expected names and calls, got {ast.unparse(part)}; let a network do it"
        )

    keys = [keyword.arg for keyword in tree.keywords if keyword.arg is not None]
    if not isinstance(tree.func, ast.Name) or len(keys) < len(tree.keywords):
        raise InputError(
            f"graph: {line}: expected names and calls, got {ast.unparse(tree)}; let a network do it"
        )
    args = tuple(map(value, tree.args))
    return Call(
        tree.func.id, args, tuple(zip(keys, (value(one.value) for one in tree.keywords), strict=True))
    )


def _check_order(nodes: Sequence[Node]) -> None:
    """Refuse a line that takes a later output, and a cycle, which no order can mend."""
    makers = {name: number for number, node in enumerate(nodes) for name in node.names}
    for number, node in enumerate(nodes):
        for name in node.call.names():
            if makers.get(name, -1) < number:
                continue
            if number in _above(makers[name], nodes, makers):
                raise InputError(f"graph: {node.text}: a cycle: {name} is made of {node.names[0]}; break it")
            raise InputError(f"graph: {node.text}: {name} comes later; write its line above")


def _above(start: int, nodes: Sequence[Node], makers: Mapping[str, int]) -> set[int]:
    """The lines that a line depends on, itself included."""
    found, waiting = set[int](), [start]
    while waiting:
        if (number := waiting.pop()) not in found:
            found.add(number)
            waiting += [makers[name] for name in nodes[number].call.names() if name in makers]
    return found


def needed_for(names: Collection[str], nodes: Sequence[Node]) -> list[Node]:
    """The lines that some outputs depend on, in their order."""
    makers = {name: number for number, node in enumerate(nodes) for name in node.names}
    needed = set[int]().union(*(_above(makers[name], nodes, makers) for name in names if name in makers))
    return [node for number, node in enumerate(nodes) if number in needed]
