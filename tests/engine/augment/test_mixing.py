"""Mixup and CutMix: shares, targets, and what depends on nothing but the image."""

from typing import Any

import pytest
import torch
from my_project.data.fake import Fake
from my_project.engine.augment import Mix, PhotoAugment
from my_project.engine.augment.mixing import _beta
from my_project.engine.errors import InputError
from my_project.model.resnet import ResNet
from my_project.structs import ImageExample, MulticlassPrediction
from pytorch_lightning import Trainer
from torch.nn import functional

NUM = 400


def pair() -> tuple[ImageExample, ImageExample]:
    """Black images of class 0, and white ones of class 2: the share can be read from the pixels."""
    index = torch.arange(NUM)
    black, white = (torch.full((NUM, 1, 20, 20), level, dtype=torch.uint8) for level in (0, 200))
    first = ImageExample(image=black, target=torch.zeros(NUM).long(), index=index)
    return first, ImageExample(image=white, target=torch.full((NUM,), 2), index=index)


@pytest.mark.parametrize("mix", [Mix(mixup=0.4), Mix(cutmix=1.0), Mix(mixup=1.0, cutmix=1.0, prob=0.5)])
def test_targets_have_the_shares_of_the_pixels_and_the_main_label_the_larger(mix: Mix) -> None:
    mixed = mix(*pair(), 3, seed=0, epoch=0)

    share = mixed.image.float().mean(dim=(1, 2, 3)) / 200
    torch.testing.assert_close(mixed.soft_target[:, 2], share, atol=0.004, rtol=0)
    torch.testing.assert_close(mixed.soft_target.sum(dim=1), torch.ones(NUM))
    assert (mixed.soft_target[:, 1] == 0).all()
    assert ((mixed.target == 2) == (mixed.soft_target[:, 2] > 0.5)).all()
    is_cut = (mixed.image != mixed.image[:, :, :1, :1]).flatten(1).any(dim=1)
    assert is_cut.any() == bool(mix.cutmix)
    if mix.prob < 1:
        assert 0.35 < is_cut.float().mean() / (share > 0).float().mean() < 0.65, "each takes half"
        assert 0.4 < (share == 0).float().mean() < 0.6


def test_shares_follow_the_beta_distribution() -> None:
    draws = torch.rand(32, 20_000, generator=torch.Generator().manual_seed(0))
    for alpha in (0.2, 0.4, 1.0):
        shares = _beta(draws, torch.full((20_000,), alpha)).double()
        expected = torch.distributions.Beta(torch.tensor(alpha).double(), torch.tensor(alpha).double())

        assert abs(shares.mean() - 0.5) < 0.01
        assert abs(shares.var() - expected.variance) < 0.005
        kurtosis = ((shares - 0.5) ** 4).mean() / shares.var() ** 2 - 3
        assert abs(kurtosis - -6 / (3 + 2 * alpha)) < 0.05  # of a symmetric Beta


def make_data(**options: Any) -> Fake:
    data = Fake(image_shape=(3, 8, 8), num_train=40, batch_size=8, seed=0, **options)
    data.setup("fit")
    return data


def test_an_image_is_mixed_alike_in_any_batch_and_otherwise_in_another_epoch() -> None:
    data = make_data(mix=Mix(mixup=0.4, cutmix=1.0))
    whole = data.change(data.train_set[range(20)], epoch=3)
    part = data.change(data.train_set[[5, 17]], epoch=3)
    other = data.change(data.train_set[range(20)], epoch=4)

    torch.testing.assert_close(part.image, whole.image[[5, 17]])
    torch.testing.assert_close(part.soft_target, whole.soft_target[[5, 17]])
    assert (other.image != whole.image).flatten(1).any(dim=1).float().mean() > 0.9


def test_the_other_image_is_augmented_as_it_is_in_this_epoch() -> None:
    mix, augment = Mix(mixup=1.0), PhotoAugment(scale=(0.3, 1), hue=0.1)
    data, plain = make_data(mix=mix, augment=augment), make_data(augment=augment)
    batch = data.train_set[range(20)]
    partners = mix.partners(batch, len(data.train_set), seed=data.seed, epoch=2)
    own, other = (plain.change(one, epoch=2) for one in (batch, data.train_set[partners]))
    mixed = data.change(batch, epoch=2)

    is_known = own.target != other.target
    share = mixed.soft_target.gather(1, own.target[:, None])[:, 0]
    expected = share[:, None, None, None] * own.image + (1 - share)[:, None, None, None] * other.image
    torch.testing.assert_close(mixed.image[is_known].float(), expected[is_known], atol=1, rtol=0)
    assert is_known.sum() > 10
    assert partners.unique().numel() > 10


def test_it_is_on_in_its_epochs_alone() -> None:
    data = make_data(mix=Mix(mixup=1.0, epochs=(2, 3)))
    batch = data.train_set[range(8)]

    assert [data.change(batch, epoch=epoch).soft_target is not None for epoch in range(4)] == [
        False,
        True,
        True,
        False,
    ]


def test_the_loss_is_that_of_both_targets_by_their_shares() -> None:
    logits, share = torch.randn(5, 3), torch.rand(5, 1)
    first, second = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([2, 2, 0, 0, 1])
    soft = share * functional.one_hot(first, 3) + (1 - share) * functional.one_hot(second, 3)
    prediction = MulticlassPrediction(logits=logits)

    expected = share[:, 0] * prediction.nll(first) + (1 - share[:, 0]) * prediction.nll(second)
    torch.testing.assert_close(prediction.nll(soft), expected)


def test_a_model_trains_on_mixed_images_and_metrics_take_the_main_label() -> None:
    data = make_data(mix=Mix(mixup=0.4, cutmix=1.0))
    model = ResNet(num_classes=data.num_classes, width=8, depths=[0])
    options: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **options)
    trainer.fit(model, datamodule=data)

    mixed = data.change(data.train_set[range(8)], epoch=0)
    prediction = model(mixed)
    loss = functional.cross_entropy(prediction.logits, mixed.soft_target)
    torch.testing.assert_close(model.compute_loss(mixed, prediction).total, loss)
    split = model.numbers.train_split
    split.reset()
    split.append(mixed, prediction, None)
    expected = (prediction.logits.argmax(dim=1) == mixed.target).float().mean()
    torch.testing.assert_close(split.compute()["train/accuracy"], expected)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="expected mixup, cutmix and prob in"):
        Mix(mixup=2)
