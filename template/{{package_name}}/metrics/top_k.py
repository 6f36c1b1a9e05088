"""The k highest- and the k lowest-scoring examples, over any number of batches and processes."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..structs import Example, Prediction

Rows = tuple[Tensor, Example, Prediction]


class TopBottomK:
    """Keeps the ``k`` highest-scoring and the ``k`` lowest-scoring examples, on their device.

    The order is that of the score; among equals, of ``index``, or without one of arrival; NaN is higher than
    all. So the result depends neither on the batches nor on the processes. Tensor operations alone are used,
    and none of them waits for the device.

    Args:
        k: Number of examples at each end, at least 1.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self._kept: Rows | None = None
        self._loaded: dict[str, Any] | None = None

    def update(self, score: Tensor, example: Example, prediction: Prediction) -> None:
        """Add a batch; ``score`` is ``(B,)`` float."""
        if self._loaded is not None:  # now the classes of both are known
            kept, self._loaded = self._loaded, None
            self._kept = (
                kept["score"].to(score.device),
                replace(example, **kept["example"]).to(score.device),
                replace(prediction, **kept["prediction"]).to(score.device),
            )
        ends = self._ends((score, example, prediction))
        self._kept = ends if self._kept is None else self._ends(_cat(self._kept, ends))

    def compute(self) -> tuple[Rows, Rows] | None:
        """The highest, highest first, and the lowest, lowest first, of all processes together, on the CPU.

        ``None`` if no example was seen.
        """
        mine = self._kept and (self._kept[0].cpu(), self._kept[1].to("cpu"), self._kept[2].to("cpu"))
        merged = TopBottomK(self.k)
        for rows in gather_objects(mine):
            if rows is not None:
                merged.update(*rows)
        if merged._kept is None or not len(merged._kept[0]):
            return None
        score, example, prediction = merged._kept
        lowest = torch.arange(len(score)).flip(0)[: self.k]
        highest = score[: self.k], example[: self.k], prediction[: self.k]
        return highest, (score[lowest], example[lowest], prediction[lowest])

    def state(self) -> dict[str, Any] | None:
        """What this process keeps, as tensors on the CPU."""
        if self._kept is None:
            return self._loaded
        score, example, prediction = self._kept
        structs = {"example": example.to("cpu").tensors, "prediction": prediction.to("cpu").tensors}
        return {"score": score.cpu(), **structs}

    def load_state(self, state: dict[str, Any] | None) -> None:
        """Go on from what :meth:`state` gave."""
        self._kept, self._loaded = None, state

    def _ends(self, rows: Rows) -> Rows:
        """Both ends, in descending order; all rows if they are few."""
        score, example, prediction = rows
        order = (
            torch.arange(len(score), device=score.device)
            if example.index is None
            else example.index.argsort()
        )
        order = order[score[order].argsort(descending=True, stable=True)]
        if len(order) > 2 * self.k:
            order = torch.cat([order[: self.k], order[-self.k :]])
        return score[order], example[order], prediction[order]


def gather_objects(mine: Any) -> list[Any]:
    """The objects of all processes in the order of their ranks; ``[mine]`` if there is one process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [mine]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    return gathered


def _cat(first: Rows, second: Rows) -> Rows:
    score = torch.cat([first[0], second[0]])
    return score, type(first[1]).cat([first[1], second[1]]), type(first[2]).cat([first[2], second[2]])
