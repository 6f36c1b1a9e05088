"""Sequences of tokens: their distance and metric against a plain loop, and how they are shown."""

import pytest
import torch
from my_project.engine.contracts import IGNORED, DataDescription, Example
from my_project.engine.errors import InputError
from my_project.engine.metrics import MetricPlan, SplitMetrics
from my_project.engine.tasks import SequencePrediction
from my_project.engine.tasks.sequence import edit_distance
from torch import Tensor

NAMES = ["[PAD]", "[UNK]", " A", " B", " C"]
# One that is right, one of another length, one that never ends, an empty one.
PREDICTION = SequencePrediction(tokens=torch.tensor([[2, 3, 0, 0], [4, 0, 0, 0], [2, 2, 2, 3], [0, 0, 0, 0]]))
TARGET = torch.tensor([[2, 3, 0, IGNORED], [2, 4, 3, 0], [3, 0, IGNORED, IGNORED], [2, 0, IGNORED, IGNORED]])


def cut(row: Tensor) -> list[int]:
    """The tokens before the first that is none."""
    tokens = row.tolist()
    return tokens[: next((place for place, token in enumerate(tokens) if token <= 0), len(tokens))]


def distance(ours: list[int], theirs: list[int]) -> int:
    if not ours or not theirs:
        return len(ours) + len(theirs)
    replaced = distance(ours[1:], theirs[1:]) + (ours[0] != theirs[0])
    return min(replaced, distance(ours[1:], theirs) + 1, distance(ours, theirs[1:]) + 1)


def random_ids(num: int, length: int, seed: int) -> Tensor:
    return torch.randint(0, 4, (num, length), generator=torch.Generator().manual_seed(seed))


def test_the_distance_is_that_of_a_plain_recursion() -> None:
    for lengths in ((5, 5), (6, 2), (1, 6)):
        ours, theirs = (random_ids(60, length, seed) for seed, length in enumerate(lengths))
        expected = [distance(cut(one), cut(other)) for one, other in zip(ours, theirs, strict=True)]

        assert edit_distance(ours, theirs).tolist() == expected
        assert len(set(expected)) > 1
    assert edit_distance(torch.zeros(2, 0, dtype=torch.int64), TARGET[:2]).tolist() == [2, 3]


def test_the_error_is_the_distance_by_the_length_of_what_is_right() -> None:
    torch.testing.assert_close(PREDICTION.error(TARGET), torch.tensor([0, 2 / 3, 3, 1]))


def test_the_metric_sums_distances_and_lengths_over_batches_of_any_padding() -> None:
    metrics = MetricPlan(SequencePrediction.default_metrics, SequencePrediction).make(None)
    split = SplitMetrics(metrics, "val/")
    wider = torch.nn.functional.pad(TARGET[2:], (0, 3), value=IGNORED)
    split.append(Example(target=TARGET[:2]), PREDICTION[:2], None)
    split.append(Example(target=wider), PREDICTION[2:], None)
    split.append(
        Example(target=TARGET), SequencePrediction(tokens=torch.zeros(4, 0, dtype=torch.int64)), None
    )

    assert split.numbers()["val/error_rate"].item() == pytest.approx((0 + 2 + 3 + 1) / (2 + 3 + 1 + 1))


def test_where_nothing_was_written_there_is_no_number() -> None:
    metrics = MetricPlan(SequencePrediction.default_metrics, SequencePrediction).make(None)
    split = SplitMetrics(metrics, "train/")
    split.append(
        Example(target=TARGET), SequencePrediction(tokens=torch.zeros(4, 0, dtype=torch.int64)), None
    )

    assert split.numbers() == {}


def test_sequences_read_as_their_tokens_joined_up_to_the_end() -> None:
    names = DataDescription(class_names=tuple(NAMES)).name_outputs(PREDICTION.num_outputs)
    captions = PREDICTION.captions(Example(target=TARGET), names)

    assert captions[:2] == ["true A B\npredicted A B", "true A C B\npredicted C"]
    assert PREDICTION.captions(Example(), names)[2:] == ["predicted A A A B", "predicted "]
    assert PREDICTION.columns(names, TARGET)["true"] == ["A B", "A C B", "B", "A"]
    assert PREDICTION.columns(names) == {"predicted": ["A B", "C", "A A A B", ""]}
    assert PREDICTION.columns([])["predicted"][1] == "4"


def test_batches_of_other_widths_are_joined_without_a_change_of_what_they_say() -> None:
    wide = SequencePrediction(tokens=torch.tensor([[2, 2, 2, 2, 2, 2]]))
    joined = SequencePrediction.cat([PREDICTION, wide])
    targets = Example.cat([Example(target=TARGET), Example(target=torch.tensor([[2, 2, 2, 2, 2, 0]]))]).target

    assert joined.columns(NAMES, targets)["predicted"][4] == "A A A A A A"
    assert targets is not None
    assert joined.columns(NAMES, targets)["true"][:4] == PREDICTION.columns(NAMES, TARGET)["true"]
    torch.testing.assert_close(joined.error(targets), torch.tensor([0, 2 / 3, 3, 1, 1 / 5]))


def test_logits_and_targets_of_another_task_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tokens must be \(B, V\) int64, got \(2, 3\) torch.float32; take"):
        SequencePrediction(tokens=torch.zeros(2, 3))
    with pytest.raises(
        InputError, match=r"target must be \(4, U\) tokens .* got \(4,\) torch.int64; use data"
    ):
        PREDICTION.check(torch.zeros(4, dtype=torch.int64))
