"""The k highest- and the k lowest-scoring examples, over any number of batches and processes."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..contracts import Example, Prediction
from ..processes import gather_objects

Rows = tuple[Tensor, Any, Any]  # score, examples, predictions
MAX_PARTS = 16  # batches whose ends are joined at a time
SMALL = 2**20  # bytes; smaller batches wait to be joined in one operation, which would copy larger ones


class TopBottomK:
    """Keeps the ``k`` highest-scoring and the ``k`` lowest-scoring examples, on their device.

    The order is that of the score; among equals, that of ``index``, or of arrival without one; NaN is the
    highest. So the result depends neither on the batches nor on the processes. Only tensor operations are
    used, once for many small batches, and none of them waits for the device.

    Args:
        k: Number of examples at each end, at least 1.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self._parts: list[Rows] = []
        self._is_joined = True
        self._loaded: dict[str, Any] | None = None

    def update(self, score: Tensor, example: Example, prediction: Prediction) -> None:
        """Add a batch; ``score`` is ``(B,)`` float."""
        example = replace(example, soft_target=None)  # not all epochs have it, and nothing shows it
        if self._loaded is not None:  # now the classes of both are known
            kept, self._loaded = self._loaded, None
            examples = replace(example, **kept["example"]).to(score.device)
            predictions = replace(prediction, **kept["prediction"]).to(score.device)
            self._parts = [(kept["score"].to(score.device), examples, predictions)]
        rows = score, example, prediction
        self._parts.append(rows if example.nbytes <= SMALL else self._ends(rows))
        self._is_joined = False
        if len(self._parts) == MAX_PARTS:
            self._join()

    def compute(self) -> tuple[Rows, Rows] | None:
        """The highest, highest first, and the lowest, lowest first, of all processes together, on the CPU.

        ``None`` if no example was seen.
        """
        kept = self._join()
        mine = kept and (kept[0].cpu(), kept[1].to("cpu"), kept[2].to("cpu"))
        merged = TopBottomK(self.k)
        for rows in gather_objects(mine):
            if rows is not None:
                merged.update(*rows)
        joined = merged._join()
        if joined is None or not len(joined[0]):
            return None
        score, example, prediction = joined
        lowest = torch.arange(len(score)).flip(0)[: self.k]
        highest = score[: self.k], example[: self.k], prediction[: self.k]
        return highest, (score[lowest], example[lowest], prediction[lowest])

    def state(self) -> dict[str, Any] | None:
        """What this process keeps, as tensors on the CPU."""
        if (kept := self._join()) is None:
            return self._loaded
        score, example, prediction = kept
        structs = {"example": example.to("cpu").tensors, "prediction": prediction.to("cpu").tensors}
        return {"score": score.cpu(), **structs}

    def load_state(self, state: dict[str, Any] | None) -> None:
        """Go on from the result of ``state``."""
        self._parts, self._is_joined, self._loaded = [], True, state

    def _join(self) -> Rows | None:
        if not self._is_joined:
            scores, examples, predictions = zip(*self._parts, strict=True)
            joined = type(examples[0]).cat(examples), type(predictions[0]).cat(predictions)
            self._parts, self._is_joined = [self._ends((torch.cat(scores), *joined))], True
        return self._parts[0] if self._parts else None

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
