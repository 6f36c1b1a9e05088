"""The pipeline of each data set, when several take turns: its lines of the graph, and its losses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..module import Part
from ..schedules import open_lengths
from .expressions import needed_for, of_source
from .losses import Term
from .wiring import Wiring

TARGET = "target"


@dataclass(frozen=True)
class Pipeline:
    """What the batches of a data set go through.

    Attributes:
        terms: Their losses by name.
        wanted: The outputs and fields that losses, prediction and metrics take.
        needs_targets: Whether the losses need targets.
    """

    terms: Mapping[str, Term]
    wanted: Collection[str]
    needs_targets: bool


def pipeline_of(source: str, wiring: Wiring, terms: Mapping[str, Term], ends: Collection[str]) -> Pipeline:
    """The pipeline of a source.

    Args:
        source: Its name; empty if the data has none.
        wiring: The graph.
        terms: All losses by name.
        ends: Outputs that are predicted or measured.
    """
    own = {name: term for name, term in terms.items() if source in (term.sources or [source])}
    inputs = {name for term in own.values() for name in term.names}
    needed = needed_for(inputs, of_source(wiring.nodes, source))
    taken = inputs.union(*(node.call.names() for node in needed))
    return Pipeline(own, inputs.union(ends), TARGET in taken)


def check_sources(
    sources: Sequence[str],
    wiring: Wiring,
    terms: Mapping[str, Term],
    ends: Collection[str],
    parts: Mapping[str, Part],
) -> None:
    """Refuse a data set without a whole pipeline, and a pipeline without data.

    Args:
        sources: Names of the data sets; empty if there is only one.
        wiring: The graph.
        terms: All losses by name.
        ends: Outputs that are predicted or measured.
        parts: Optimizers by name.

    Raises:
        InputError: There is either, or an optimizer that not all sources feed has an open-ended schedule.
    """
    for where, named in _named(wiring, terms):
        if named not in sources:
            there = f"there are {', '.join(sources)}" if sources else "let data be an Interleave"
            raise InputError(f"{where}: no such source: {named}; {there}")
    for source in sources:
        pipeline, nodes = pipeline_of(source, wiring, terms, ends), of_source(wiring.nodes, source)
        if terms and not pipeline.terms:
            raise InputError(f"losses: expected one for source {source}, got none; leave the source out")
        made = {name for node in nodes for name in node.names}
        needed = needed_for(pipeline.wanted, nodes)
        wanted = {*pipeline.wanted, *(name for node in needed for name in node.call.names())}
        if missing := [name for name in wiring.outputs if name in wanted - made]:
            raise InputError(f"graph: {missing[0]}: expected a line for source {source}, got none; write it")
    for name, part in parts.items():
        fed = {each for key in part.loss or [name] for each in terms[key].sources or sources}
        if {*sources} - fed and (lengths := open_lengths(part.lr_scheduler)):
            raise InputError(
                f"optimizers: {name}: expected the length of a schedule that only some sources feed, got "
                f"none; give {lengths[0]}"
            )


def _named(wiring: Wiring, terms: Mapping[str, Term]) -> list[tuple[str, str]]:
    """Each place that names a source, and the source."""
    lines = [(f"graph: {node.text}", node.source) for node in wiring.nodes if node.source]
    return lines + [(f"losses: {name}", source) for name, term in terms.items() for source in term.sources]
