"""What the project computes with torch, computed again with NumPy: slow, plain, in double precision."""

import numpy as np


def probs_of(logits: np.ndarray) -> np.ndarray:
    """``(N, K)`` softmax of ``(N, K)`` logits."""
    exps = np.exp(logits.astype(float) - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def entropy_of(probs: np.ndarray) -> np.ndarray:
    """``(N,)`` in nats."""
    return np.array([-sum(p * np.log(p) for p in row if p > 0) for row in probs])


def losses_of(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """``(N,)`` cross-entropy of each example."""
    return np.array([-np.log(row[target]) for row, target in zip(probs_of(logits), targets, strict=True)])


def count_bins(values: np.ndarray, is_wrong: np.ndarray, num_bins: int) -> np.ndarray:
    """``(3, M)``: examples, errors and sum of ``values`` in bins of equal width."""
    bins = np.zeros((3, num_bins))
    for value, wrong in zip(values, is_wrong, strict=True):
        bins[:, min(int(value * num_bins), num_bins - 1)] += 1, wrong, value
    return bins


def gap_of(bins: np.ndarray) -> float:
    """Mean gap between errors and ``values``, weighted by the examples of each bin."""
    return float(np.abs(bins[1] - bins[2]).sum() / bins[0].sum())


def metrics_of(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """The numbers that a model logs by default, by name."""
    probs = probs_of(logits)
    is_wrong, entropy = probs.argmax(axis=1) != targets, entropy_of(probs)
    return {
        "loss": float(losses_of(logits, targets).mean()),
        "accuracy": float(1 - is_wrong.mean()),
        "entropy": float(entropy.mean()),
        "uce": gap_of(count_bins(entropy / np.log(probs.shape[1]), is_wrong, 15)),
        "ece": gap_of(count_bins(1 - probs.max(axis=1), is_wrong, 15)),
    }
