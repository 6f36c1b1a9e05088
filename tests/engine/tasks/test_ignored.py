"""Pixels and tokens of unknown class count nowhere: everything equals what NumPy makes of the others."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from my_project.engine.contracts import IGNORED, DataDescription, Example
from my_project.engine.metrics import MetricPlan
from my_project.metrics import ConfusionCounts, ErrorBins
from my_project.model import BaseModel
from my_project.structs import MulticlassPrediction
from torch import nn

NAMES = ["ant", "bee", "cat"]


@pytest.fixture(params=[(), (7,), (5, 6)], ids=["examples", "tokens", "pixels"])
def batch(request: pytest.FixtureRequest) -> tuple[MulticlassPrediction, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(8, 3, *request.param, generator=generator) * 2
    target = torch.randint(0, 3, (8, *request.param), generator=generator)
    hidden = torch.rand(target.shape, generator=generator) < 0.4
    hidden[0] = True  # an example of which nothing is known
    return MulticlassPrediction(logits=logits), target.masked_fill(hidden, IGNORED)


def flat(prediction: MulticlassPrediction, target: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities and targets of what is known, and the rows of their examples."""
    logits = prediction.logits.double().movedim(1, -1).reshape(-1, 3).numpy()
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    flat_target = target.flatten().numpy()
    rows = np.repeat(np.arange(len(target)), flat_target.size // len(target))
    known = flat_target != -100
    return probs[known], flat_target[known], rows[known]


def test_losses_and_errors_are_means_of_what_is_known(batch: Any) -> None:
    prediction, target = batch
    probs, known, rows = flat(prediction, target)
    right = probs[range(len(known)), known]

    nll, error = prediction.nll(target).numpy(), prediction.error(target).numpy()

    assert nll[0] == error[0] == 0
    for row in range(1, 8):
        if (rows == row).any():
            np.testing.assert_allclose(nll[row], -np.log(right[rows == row]).mean(), rtol=1e-4)
            np.testing.assert_allclose(error[row], (1 - right[rows == row]).mean(), rtol=1e-4)


def test_metrics_of_torchmetrics_and_own_ones_leave_it_out(batch: Any) -> None:
    prediction, target = batch
    probs, known, _ = flat(prediction, target)
    predicted = probs.argmax(axis=1)
    metrics = MetricPlan(
        {
            "miou": "JaccardIndex",
            "iou": {"class_path": "JaccardIndex", "init_args": {"average": "none"}},
            "accuracy": "Accuracy",
            "f1": "F1Score",
            "ece": "CalibrationError",
            "confusion": ConfusionCounts(3),
            "bins": ErrorBins(5),
        },
        MulticlassPrediction,
    ).make(3)
    for metric in metrics.values():
        metric.update(Example(target=target), prediction)
    values = {name: metric.compute() for name, metric in metrics.items()}

    iou = [
        ((predicted == c) & (known == c)).sum() / ((predicted == c) | (known == c)).sum() for c in range(3)
    ]
    counts = np.zeros((3, 3), dtype=int)
    np.add.at(counts, (known, predicted), 1)
    np.testing.assert_allclose(values["iou"], iou, rtol=1e-5)
    np.testing.assert_allclose(values["miou"], np.mean(iou), rtol=1e-5)
    np.testing.assert_allclose(values["accuracy"], (predicted == known).mean(), rtol=1e-5)
    np.testing.assert_array_equal(values["confusion"], counts)
    entropy = -(probs * np.log(probs)).sum(axis=1) / math.log(3)
    bins = np.minimum((entropy * 5).astype(int), 4)
    np.testing.assert_allclose(values["bins"][0, 0], np.bincount(bins, minlength=5))
    np.testing.assert_allclose(
        values["bins"][0, 1], np.bincount(bins, weights=predicted != known, minlength=5)
    )
    np.testing.assert_allclose(
        values["bins"][0, 2], np.bincount(bins, weights=entropy, minlength=5), rtol=1e-4
    )
    confidence = probs.max(axis=1)
    of_bin = np.minimum((confidence * 15).astype(int), 14)
    gaps = [
        abs((predicted == known)[of_bin == b].mean() - confidence[of_bin == b].mean()) * (of_bin == b).mean()
        for b in np.unique(of_bin)
    ]
    np.testing.assert_allclose(values["ece"], sum(gaps), rtol=1e-4)


def test_a_criterion_leaves_it_out_and_ranks_by_what_is_known(batch: Any) -> None:
    prediction, target = batch
    model = BaseModel(data=DataDescription(num_outputs=3), criterion=nn.CrossEntropyLoss())
    probs, known, _ = flat(prediction, target)

    loss = model.compute_loss(Example(target=target), prediction).total
    ranked = model.example_loss(Example(target=target), prediction)

    np.testing.assert_allclose(loss, -np.log(probs[range(len(known)), known]).mean(), rtol=1e-4)
    torch.testing.assert_close(ranked, prediction.nll(target))


def test_captions_count_what_is_known() -> None:
    logits = torch.eye(3)[torch.tensor([[[0, 0], [0, 1]], [[0, 0], [0, 0]]])].movedim(-1, 1) * 20
    target = torch.tensor([[[0, 0], [2, -100]], [[-100, -100], [-100, -100]]])

    captions = MulticlassPrediction(logits=logits).captions(Example(target=target), NAMES)

    assert captions == ["66.7% correct", "all ignored"]


def test_examples_of_unknown_class_have_no_true_name() -> None:
    prediction, target = MulticlassPrediction(logits=torch.eye(3)[:2] * 20), torch.tensor([1, -100])

    assert prediction.columns(NAMES, target)["true"] == ["bee", ""]
    captions = prediction.captions(Example(target=target), NAMES)
    assert captions == ["true bee\npredicted ant, 100%", "predicted bee, 100%"]


def test_columns_of_pixels_are_the_shares_of_the_predicted_classes() -> None:
    logits = torch.tensor([[[[0.1, 0.1], [0.1, 0.0]], [[0.0, 0.0], [0.0, 0.1]], [[0.0] * 2] * 2]])

    columns = MulticlassPrediction(logits=logits).columns(NAMES)

    assert [columns[name] for name in NAMES] == [["0.750000"], ["0.250000"], ["0.000000"]]
    assert columns["class"] == ["ant"]


def test_names_of_classes_never_hide_other_columns() -> None:
    names = ["class", "path", "entropy", "cat", "cat"]

    columns = MulticlassPrediction(logits=torch.eye(5) * 9).columns(names)

    assert list(columns) == [
        *("class", "probability", "entropy"),
        *("class (0)", "path (1)", "entropy (2)", "cat", "cat (4)"),
    ]
    assert columns["class"] == names


@pytest.mark.parametrize(
    ("extras", "values", "colours"),
    [
        ({}, [0, 1, 2], [(0, 0, 0), (0, 114, 178), (230, 159, 0)]),
        (
            {"mask_values": [7, 0, 255], "mask_colours": [[1, 2, 3], [0, 0, 0], [9, 9, 9]]},
            [7, 0, 255],
            [(1, 2, 3), (0, 0, 0), (9, 9, 9)],
        ),
    ],
)
def test_masks_have_the_values_and_colours_of_the_data(
    extras: dict[str, Any], values: list[int], colours: list[tuple[int, ...]]
) -> None:
    classes = torch.tensor([[[0, 1, 2]], [[2, 2, 0]]])
    prediction = MulticlassPrediction(logits=torch.eye(3)[classes].movedim(-1, 1))

    images = prediction.images(DataDescription(num_outputs=3, extras=extras))

    for image, expected in zip(images, classes, strict=True):
        assert np.array(image).tolist() == [[values[c] for c in expected[0]]]
        assert np.array(image.convert("RGB")).tolist() == [[list(colours[c]) for c in expected[0]]]
    assert MulticlassPrediction(logits=torch.zeros(2, 3)).images(DataDescription()) == []


def test_what_is_filled_up_where_batches_of_other_lengths_are_joined_is_not_known() -> None:
    """A text of two tokens beside one of four: pictures rank and caption the batch of both."""
    short, long = torch.tensor([[[5.0, 0], [0, 1]]]), torch.tensor([[[5.0, 0, 5, 0], [0, 1, 0, 5]]])
    batches = [(short, torch.tensor([[1, 1]])), (long, torch.tensor([[0, 1, 0, 0]]))]
    examples = [Example(target=target) for _, target in batches]
    predictions = [MulticlassPrediction(logits=logits) for logits, _ in batches]

    example, prediction = Example.cat(examples), MulticlassPrediction.cat(predictions)

    assert prediction.captions(example, ["a", "b"]) == ["50.0% correct", "75.0% correct"]
    assert example.target is not None
    for place, (one, target) in enumerate(zip(predictions, [one.target for one in examples], strict=True)):
        assert target is not None
        torch.testing.assert_close(prediction.error(example.target)[place : place + 1], one.error(target))
        torch.testing.assert_close(prediction.nll(example.target)[place : place + 1], one.nll(target))
