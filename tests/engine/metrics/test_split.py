import torch
from my_project.engine.metrics.select import select_metrics
from my_project.engine.metrics.split import SplitMetrics
from my_project.structs import Example, Loss, Prediction

METRICS = select_metrics({"accuracy": "Accuracy"}, task="multiclass", num_classes=3)


def batch(size: int, first: int) -> tuple[Example, Prediction, Loss]:
    target = torch.arange(first, first + size) % 3
    logits = torch.eye(3)[(target + (torch.arange(size) % 2)) % 3]
    terms = {"a": torch.tensor(float(first)), "b": torch.tensor(1.0)}
    image = torch.zeros(size, 1, 2, 2)
    return (
        Example(image=image, target=target),
        Prediction(logits=logits),
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


def test_reset_forgets_what_was_not_flushed() -> None:
    split = SplitMetrics(METRICS, "val/")
    split.append(*batch(3, 0))

    split.reset()

    assert split.compute() == {}


def test_examples_without_target_leave_no_number() -> None:
    example, prediction, _ = batch(3, 0)
    split = SplitMetrics(METRICS, "val/")

    split.append(Example(image=example.image), prediction, None)

    assert split.compute() == {}
