"""How many examples each class has, and what always naming the largest would reach."""

from collections.abc import Mapping, Sequence

from torch import Tensor

NUM_NAMED = 10


def count_classes(targets: Tensor | None, names: Sequence[str]) -> dict[str, int]:
    """Examples of each class by its name; of each label, where an example may have several.

    Args:
        targets: ``(N,)`` int64 class indices, or ``(N, K)`` rows of 0 and 1.
        names: Of the ``K`` classes or labels.

    Returns:
        Empty where targets are something else.
    """
    if targets is None or not names:
        return {}
    if targets.ndim == 1 and not targets.is_floating_point():
        if targets.min() < 0 or targets.max() >= len(names):
            return {}
        counts = targets.bincount(minlength=len(names))
    elif targets.ndim == 2 and targets.shape[1] == len(names) and ((targets == 0) | (targets == 1)).all():
        counts = targets.sum(dim=0)
    else:
        return {}
    named = zip(names, counts.tolist(), strict=True)
    return {name: int(count) for name, count in named}


def majority_accuracy(train: Tensor, val: Tensor) -> float:
    """The share of ``val`` that is of the most frequent class of ``train``; both ``(N,)`` int64."""
    return float((val == train.bincount().argmax()).double().mean())


def describe_counts(counts: Mapping[str, int], majority: float | None) -> str:
    """One line: the counts, the largest first, and the accuracy of always naming the largest.

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
