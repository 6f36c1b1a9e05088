"""Several networks, losses and optimizers, wired in a config."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pytorch_lightning import Callback
from torch import Tensor, nn

from ..engine.foreign import is_attached
from ..engine.graph import (
    DrawGraph,
    Pipeline,
    Term,
    Wiring,
    check_sources,
    compute_terms,
    evaluate_frozen,
    example_losses,
    freeze_others,
    make_networks,
    pipeline_of,
)
from ..engine.interleave import SOURCES
from ..engine.module import Part
from ..engine.tasks import TASKS, join, join_values, read_heads
from ..structs import DataDescription, Example, Loss, Prediction
from .base import BaseModel


class Parts(BaseModel):
    """Networks by name, called in the order of a graph; see ``docs/pipelines.md``.

    With ``optimizers``, a network of which none trains a parameter is frozen, and in evaluation mode.

    Args:
        networks: By name: an import path, one with arguments and weights, or a run; see ``make_networks``.
            One that has an argument ``data`` is told what is known of the data.
        graph: Names of what comes out to a call of a network, ``{"code": "encoder(image)"}``: of fields of
            the example, of what came out above, and of ``detach(x)``. uint8 fields are scaled to ``[0, 1]``.
            Where several data sets take turns, a call may be one for each: ``{"code": {"photos": ...}}``.
        prediction: A task (multiclass, binary, multilabel, regression, image, sequence) to the output that
            it is made of, or several; see ``read_heads``.
        losses: By name, each of all batches or of those of its ``source``; ``None`` for a model that only
            predicts.
        optimizers: By name; see ``Part``. Without, ``optimizer`` trains all.
        data: See ``BaseModel``.
        metrics: See ``BaseModel``; ``fields`` may name outputs, and ``<head>/<name>`` measures another head.
        **kwargs: See ``BaseModel``.

    Raises:
        InputError: The graph has no order, or something is missing or of no use; one line says what.
    """

    def __init__(
        self,
        *,
        networks: dict[str, str | dict[str, Any]],
        graph: dict[str, str | dict[str, str]],
        prediction: dict[str, str | dict[str, Any]],
        losses: dict[str, Term] | None = None,
        optimizers: dict[str, Part] | None = None,
        data: DataDescription | None = None,
        metrics: dict[str, str | dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        made, again = make_networks(networks, data)
        self.remember(networks=again)
        self.wiring = Wiring(graph, list(made))
        self.heads = read_heads(prediction, TASKS)
        self.kept = self.wiring.measured_by(metrics or {})
        vars(self)["prediction_class"] = join(self.heads, self.kept)
        super().__init__(data=data, optimizers=optimizers, metrics=metrics, **kwargs)
        self.networks, self.terms = made, losses or {}
        self.criterion = nn.ModuleDict({name: term.criterion for name, term in self.terms.items()})
        self.ends = [name for head in self.heads for name in head.names] + [*self.kept]
        if losses is not None:
            self.wiring.check_ends(self.ends, losses, self.parts)
        inputs = [name for term in self.terms.values() for name in term.names]
        vars(self)["needs_targets"] = "target" in (*inputs, *self.wiring.taken)
        freeze_others(list(self.named_parts()), self.parts)
        self.pipelines: dict[str, Pipeline] = {}  # by source

    def setup(self, stage: str) -> None:
        super().setup(stage)
        sources = self.data.extras.get(SOURCES, [])
        check_sources(sources, self.wiring, self.terms, self.ends, self.parts)

    def named_parts(self) -> Iterator[tuple[str, nn.Parameter]]:
        yield from self.networks.named_parameters(remove_duplicate=False)
        yield from self.criterion.named_parameters("losses") if self.criterion else ()

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.parts:
            evaluate_frozen(self.networks)

    def configure_callbacks(self) -> list[Callback]:
        return [DrawGraph(self.wiring, self.networks, self.terms, self.parts)]

    def forward(self, example: Example) -> Prediction:
        source, pipeline = self._pipeline(example)
        is_trained = is_attached(self) and self.has_loss(example)
        wanted = pipeline.wanted if is_trained else self.ends
        values = self.wiring.run(self.networks, example, wanted, source)
        prediction = join_values(self.heads, self.kept, values)
        vars(prediction)["values"] = values  # for the loss; copies of the prediction lack them
        return prediction

    def example_of(self, example: Example, prediction: Prediction) -> Example:
        target = self.heads[0].target
        return replace(example, target=vars(prediction)["values"][target]) if target else example

    def compute_loss(self, example: Example, prediction: Prediction) -> Loss:
        terms = self._pipeline(example)[1].terms
        weights = {name: term.weight for name, term in terms.items()}
        return Loss(terms=compute_terms(terms, vars(prediction)["values"]), weights=weights)

    def has_loss(self, example: Example) -> bool:
        return example.target is not None or not self._pipeline(example)[1].needs_targets

    def example_loss(self, example: Example, prediction: Prediction) -> Tensor:
        return example_losses(self._pipeline(example)[1].terms, vars(prediction).get("values"))

    def _pipeline(self, example: Example) -> tuple[str, Pipeline]:
        """The source of a batch, and what it goes through; what no source gave is taken for the first's."""
        source = example.source or next(iter(self.data.extras.get(SOURCES, [])), "")
        if source not in self.pipelines:
            self.pipelines[source] = pipeline_of(source, self.wiring, self.terms, self.ends)
        return source, self.pipelines[source]
