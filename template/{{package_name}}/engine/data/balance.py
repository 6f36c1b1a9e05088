"""How many examples each class has, and the accuracy of always predicting the largest."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..contracts import DataDescription
from .examples import ExampleSet

NUM_NAMED = 10


def measure_balance(
    sets: Mapping[str, ExampleSet[Any]], val_sets: Mapping[str, bool], describe: Callable[[], DataDescription]
) -> dict[str, Any]:
    """Counts of classes, ``(N,)`` integers, or of labels, ``(N, K)`` of 0 or 1.

    Args:
        sets: Sets by name: ``train`` and ``val/<name>``.
        val_sets: Names of the latter, and whether each counts.
        describe: Returns the names of the ``K`` classes or labels; not called without a training set.

    Returns:
        ``class_counts``, the training examples by class name, and for classes ``majority_accuracy``, the
        accuracy in validation of always predicting the most frequent one; empty if there are no classes.
    """
    train = sets["train"].targets if "train" in sets else None
    names = () if train is None else describe().class_names
    val = [sets[f"val/{name}"].targets for name, counts in val_sets.items() if counts]
    is_classes = train is not None and train.ndim == 1 and not train.is_floating_point()
    if train is None or not len(names):
        return {}
    if is_classes and 0 <= int(train.min()) <= int(train.max()) < len(names):
        counts = train.bincount(minlength=len(names))
    elif train.shape[1:] == (len(names),) and bool(((train == 0) | (train == 1)).all()):
        counts = train.sum(dim=0)
    else:
        return {}
    found = {"class_counts": dict(zip(names, map(int, counts.tolist()), strict=True))}
    known = [targets for targets in val if targets is not None]
    if not is_classes or not known:
        return found
    return {**found, "majority_accuracy": float((torch.cat(known) == counts.argmax()).double().mean())}


def describe_counts(counts: Mapping[str, int], majority: float | None) -> str:
    """One line: the counts, largest first, and the accuracy of always predicting the largest.

    >>> describe_counts({"scratch": 10, "sound": 990}, 0.99)
    'classes: sound 990, scratch 10; always sound has accuracy 0.990'
    """
    order = sorted(counts, key=lambda name: -counts[name])
    named = ", ".join(f"{name} {counts[name]:,}" for name in order[:NUM_NAMED])
    if len(order) > NUM_NAMED:
        named += f", and {len(order) - NUM_NAMED} more down to {order[-1]} {counts[order[-1]]:,}"
    if majority is None:
        return f"labels: {named}"
    return f"classes: {named}; always {order[0]} has accuracy {majority:.3f}"
