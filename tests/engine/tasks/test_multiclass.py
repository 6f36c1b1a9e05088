"""One of several classes, per example and per pixel, and one of two, against NumPy."""

import numpy as np
import pytest
import torch
from my_project.structs import BinaryPrediction, Example, ImageExample, MulticlassPrediction
from torch import Tensor

NAMES = ["ant", "bee", "cat"]


def softmax(logits: Tensor) -> np.ndarray:
    exponentials = np.exp(logits.double().numpy())
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def make(*spatial: int) -> tuple[MulticlassPrediction, Tensor]:
    return MulticlassPrediction(logits=torch.randn(5, 3, *spatial)), torch.randint(3, (5, *spatial))


@pytest.mark.parametrize("spatial", [(), (4,), (2, 3)], ids=["examples", "tokens", "pixels"])
def test_each_number_of_an_example_is_the_mean_of_its_positions(spatial: tuple[int, ...]) -> None:
    prediction, target = make(*spatial)
    probs = np.moveaxis(softmax(prediction.logits), 1, -1).reshape(5, -1, 3)  # (B, positions, K)
    chosen = np.take_along_axis(probs, target.numpy().reshape(5, -1, 1), axis=2)[..., 0]
    entropy = -(probs * np.log(probs)).sum(axis=2).mean(axis=1)

    prediction.check(target)

    np.testing.assert_allclose(prediction.nll(target), -np.log(chosen).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(prediction.error(target), 1 - chosen.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(prediction.entropy, entropy, rtol=1e-4)
    np.testing.assert_allclose(prediction.uncertainty, entropy / np.log(3), rtol=1e-4)
    np.testing.assert_allclose(prediction.flat().probs, probs.reshape(-1, 3), rtol=1e-4)
    assert prediction.preds.argmax(1).tolist() == prediction.classes.tolist()
    assert prediction.num_outputs == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_probabilities_are_computed_in_float32(dtype: torch.dtype) -> None:
    logits = torch.randn(5, 3).to(dtype)
    prediction = MulticlassPrediction(logits=logits)

    assert prediction.probs.dtype == prediction.nll(torch.zeros(5, dtype=torch.long)).dtype == torch.float32
    np.testing.assert_allclose(prediction.probs, softmax(logits), rtol=1e-5)


@pytest.mark.parametrize(
    "target",
    [torch.zeros(4, dtype=torch.long), torch.zeros(5, 3, dtype=torch.long), torch.zeros(5)],
    ids=["another size", "one-hot", "float"],
)
def test_targets_that_are_no_class_indices_are_refused(target: Tensor) -> None:
    with pytest.raises(ValueError, match=r"target must be \(5,\) class indices beside logits \(5, 3\), got"):
        make()[0].check(target)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target must be \(5, 2, 3\)"):
        make(2, 3)[0].check(torch.zeros(5, 3, 2, dtype=torch.long))


def test_captions_and_columns_say_class_and_probability() -> None:
    prediction = MulticlassPrediction(logits=torch.tensor([[0.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    target = torch.tensor([2, 1])
    _, sure = softmax(prediction.logits).max(axis=1)

    assert prediction.captions(Example(target=target), NAMES) == [
        "true cat\npredicted ant, 33%",
        f"true bee\npredicted bee, {sure:.0%}",
    ]
    assert prediction.captions(Example(index=target), NAMES)[0] == "predicted ant, 33%"
    columns = prediction.columns(NAMES, target)
    assert list(columns) == ["true", "class", "probability", "entropy", *NAMES]
    assert (columns["true"], columns["class"]) == (["cat", "bee"], ["ant", "bee"])
    assert columns["probability"] == ["0.333333", f"{sure:.6f}"]
    assert columns["entropy"][0] == f"{np.log(3):.6f}"
    assert "true" not in prediction.columns(NAMES)


def test_captions_and_columns_of_pixels_say_shares() -> None:
    logits = torch.eye(3)[torch.tensor([[[0, 0], [0, 1]]])].movedim(-1, 1) * 20
    prediction = MulticlassPrediction(logits=logits)
    target = torch.tensor([[[0, 0], [2, 1]]])

    assert prediction.captions(Example(target=target), NAMES) == ["75.0% correct"]
    assert prediction.captions(Example(index=torch.tensor([0])), NAMES) == [""]
    columns = prediction.columns(NAMES, target)
    assert columns["class"] == ["ant"]
    assert [columns[name] for name in NAMES] == [["0.750000"], ["0.250000"], ["0.000000"]]


def test_pictures_of_pixels_show_the_true_classes_beside_the_predicted_ones() -> None:
    prediction, target = make(2, 3)
    pictures = torch.zeros(5, 1, 2, 3, dtype=torch.uint8)
    example = ImageExample(image=pictures, target=target)

    both = prediction.draw_on(pictures, example)
    alone = prediction.draw_on(pictures, ImageExample(image=pictures))

    assert both.shape == (5, 3, 2, 6)
    assert torch.equal(both[..., 3:], alone)
    assert torch.equal(both[..., :3].sum(1) > 0, target > 0)
    assert make()[0].draw_on(pictures, example) is pictures


class TestBinary:
    prediction = BinaryPrediction(logits=torch.tensor([2.0, -1.0, 0.5]))
    target = torch.tensor([1.0, 1.0, 0.0])
    probs = 1 / (1 + np.exp(-np.array([2.0, -1.0, 0.5])))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
    def test_nll_and_error_are_those_of_class_1(self, dtype: torch.dtype) -> None:
        target = self.target.to(dtype)
        wrong = np.where(self.target.numpy() == 1, 1 - self.probs, self.probs)

        self.prediction.check(target)

        np.testing.assert_allclose(self.prediction.preds, self.probs, rtol=1e-5)
        np.testing.assert_allclose(self.prediction.nll(target), -np.log(1 - wrong), rtol=1e-5)
        np.testing.assert_allclose(self.prediction.error(target), wrong, rtol=1e-5)
        assert self.prediction.for_metrics(target)[1].dtype == torch.int64
        assert self.prediction.for_criterion(target)[1].dtype == torch.float32

    def test_it_is_flat_already(self) -> None:
        assert self.prediction.flat() is self.prediction

    def test_captions_and_columns_take_targets_of_either_type(self) -> None:
        for target in (self.target, self.target.long()):
            said = self.prediction.captions(Example(target=target), ["no", "yes"])
            assert said[1] == f"true yes\npredicted no, {1 - self.probs[1]:.0%}"
            columns = self.prediction.columns(["no", "yes"], target)
            assert (columns["true"], columns["class"]) == (["yes", "yes", "no"], ["yes", "no", "yes"])
            assert columns["yes"] == [f"{prob:.6f}" for prob in self.probs]

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"target must be \(3,\) to match the prediction, got \(3, 1\)"):
            self.prediction.check(self.target[:, None])
        with pytest.raises(ValueError, match=r"logits must be \(B,\), got \(3, 1\)"):
            BinaryPrediction(logits=torch.zeros(3, 1))
        assert BinaryPrediction.from_outputs(torch.zeros(3, 1)).logits.shape == (3,)
