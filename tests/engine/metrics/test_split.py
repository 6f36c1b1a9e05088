from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.metrics import MetricPlan, SplitMetrics
from my_project.structs import DataDescription, Example, ImageExample, Loss, MulticlassPrediction
from torch import Tensor

METRICS = MetricPlan({"accuracy": "Accuracy"}, MulticlassPrediction).make(3)


def batch(size: int, first: int) -> tuple[ImageExample, MulticlassPrediction, Loss]:
    target = torch.arange(first, first + size) % 3
    logits = torch.eye(3)[(target + (torch.arange(size) % 2)) % 3]
    terms = {"a": torch.tensor(float(first)), "b": torch.tensor(1.0)}
    image = torch.zeros(size, 1, 2, 2)
    return (
        ImageExample(image=image, target=target),
        MulticlassPrediction(logits=logits),
        Loss(terms=terms, weights={"b": 2.0}),
    )


def test_buffered_batches_count_by_their_size() -> None:
    split = SplitMetrics(METRICS, "val/")
    split.append(*batch(4, 0))
    split.append(*batch(1, 5))

    values = split.compute()

    torch.testing.assert_close(values["val/accuracy"], torch.tensor(3 / 5))
    torch.testing.assert_close(values["val/loss_a"], torch.tensor((4 * 0 + 1 * 5) / 5))
    torch.testing.assert_close(values["val/loss"], torch.tensor((4 * 2 + 1 * 7) / 5))


def test_the_buffer_is_bounded_and_changes_no_value() -> None:
    split = SplitMetrics(METRICS, "train/")
    for number in range(150):
        split.append(*batch(2, number))
        assert len(split._buffer) < 64

    torch.testing.assert_close(split.compute()["train/loss_a"], torch.tensor(149 / 2))


@pytest.mark.parametrize("keep_inputs", [False, True])
def test_the_buffer_holds_so_many_bytes_and_inputs_only_where_a_metric_takes_them(keep_inputs: bool) -> None:
    per_batch = 4 * (3 * 4 + 8) + keep_inputs * 4 * 4 * 4  # logits and targets; pixels
    split = SplitMetrics(METRICS, "val/", keep_inputs=keep_inputs, max_bytes=3 * per_batch)
    held = []
    for number in range(7):
        split.append(*batch(4, number))
        held.append(len(split._buffer))

    assert held == [1, 2, 0, 1, 2, 0, 1]
    assert type(split._buffer[0][0]) is (ImageExample if keep_inputs else Example)
    torch.testing.assert_close(split.compute()["val/accuracy"], torch.tensor(0.5))


@dataclass(kw_only=True, eq=False)
class Tokens(Example):
    ids: Tensor


def test_batches_of_other_shapes_count_as_all_in_one() -> None:
    """Filled up to one length, the zeros would be taken for tokens."""
    split, hits, total = SplitMetrics(METRICS, "val/", keep_inputs=True), 0, 0
    for length in (2, 5, 2, 3):
        ids, target = torch.randint(9, (4, length)), torch.randint(3, (4, length))
        prediction = MulticlassPrediction(logits=torch.randn(4, 3, length))
        split.append(Tokens(ids=ids, target=target), prediction, None)
        hits += int((prediction.classes == target).sum())
        total += target.numel()

    torch.testing.assert_close(split.compute()["val/accuracy"], torch.tensor(hits / total))


def test_a_metric_that_gives_a_vector_is_logged_by_the_names_of_the_outputs() -> None:
    spec = {"class_path": "Recall", "init_args": {"average": "none"}}
    split = SplitMetrics(None, "val/")
    metrics = MetricPlan({"recall": spec}, MulticlassPrediction).make(3)
    split.set_metrics(metrics, DataDescription(class_names=("ant", "bee", "cat")))
    target, classes = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 0])

    split.append(Example(target=target), MulticlassPrediction(logits=torch.eye(3)[classes]), None)

    assert {name: value.item() for name, value in split.numbers().items()} == {
        "val/recall/ant": 0.5,
        "val/recall/bee": 1.0,
        "val/recall/cat": 0.0,
    }


def test_a_metric_that_gives_a_matrix_is_refused_in_one_line() -> None:
    split = SplitMetrics(MetricPlan({"counts": "ConfusionMatrix"}, MulticlassPrediction).make(3), "val/")
    split.append(*batch(4, 0))

    with pytest.raises(InputError, match=r"^metric val/counts: expected a number or one for each output"):
        split.numbers()


def test_a_state_that_comes_before_the_metrics_is_not_lost() -> None:
    whole = SplitMetrics(METRICS, "train/")
    whole.append(*batch(4, 0))
    resumed = SplitMetrics(None, "train/")
    resumed.load_state(deepcopy(whole.state()))
    resumed.set_metrics(METRICS)
    for split in (whole, resumed):
        split.append(*batch(3, 7))

    torch.testing.assert_close(resumed.compute(), whole.compute(), rtol=0, atol=0)


def test_reset_forgets_what_was_not_flushed() -> None:
    split = SplitMetrics(METRICS, "val/")
    split.append(*batch(3, 0))

    split.reset()

    assert split.compute() == {}


def test_examples_without_target_leave_no_number() -> None:
    example, prediction, _ = batch(3, 0)
    split = SplitMetrics(METRICS, "val/")

    split.append(ImageExample(image=example.image), prediction, None)

    assert split.compute() == {}
