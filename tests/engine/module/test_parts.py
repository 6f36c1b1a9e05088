"""Two optimizers, each for its part and its term of the loss, against a loop by hand."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from my_project.data import BatchedData
from my_project.engine.errors import InputError
from my_project.engine.module import Part
from my_project.model import BaseModel
from my_project.structs import Loss, RegressionPrediction, VectorExample
from support import MakeTrainer
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR

NUM_ROWS, BATCH_SIZE, NUM_EPOCHS = 22, 8, 2


class Rows(BatchedData):
    def load(self, split: str) -> VectorExample | None:
        if split == "test":
            return None
        draw = torch.Generator().manual_seed(NUM_ROWS)
        features = torch.randn(NUM_ROWS, 3, generator=draw)
        return VectorExample(features=features, target=features.sum(dim=1, keepdim=True))


class Pair(BaseModel):
    """The body is trained by another loss than the head, and each loss depends on both."""

    prediction_class = RegressionPrediction

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, example: VectorExample) -> RegressionPrediction:
        return RegressionPrediction(values=self.head(self.body(example.features).tanh()))

    def compute_loss(self, example: VectorExample, prediction: RegressionPrediction) -> Loss:
        gap = prediction.values - example.target
        return Loss(terms={"head": gap.abs().mean(), "body": gap.square().mean() + gap.mean()})


def make_parts(**head: Any) -> dict[str, Part]:
    return {
        "head": Part(optimizer=partial(SGD, lr=0.3, momentum=0.9), **head),
        "body": Part(
            optimizer=partial(SGD, lr=0.05), lr_scheduler=partial(ExponentialLR, gamma=0.5), clip_norm=0.1
        ),
    }


def fit(make_trainer: MakeTrainer, model: Pair, **options: Any) -> Any:
    trainer = make_trainer(max_epochs=NUM_EPOCHS)
    trainer.fit(model, Rows(batch_size=BATCH_SIZE, shuffle=False), **options)
    return trainer


def clipped(grads: list[Tensor], largest: float) -> list[Tensor]:
    norm = math.sqrt(sum(grad.square().sum().item() for grad in grads))
    return [grad * min(1.0, largest / norm) for grad in grads]


def test_two_optimizers_equal_a_loop_by_hand(make_trainer: MakeTrainer) -> None:
    model = Pair(optimizers=make_parts())
    by_hand = Pair()
    by_hand.load_state_dict(model.state_dict())
    trainer = fit(make_trainer, model)

    data = Rows(batch_size=BATCH_SIZE)
    data.setup("fit")
    examples = data.sets_of("train")["train"].examples
    body, head = list(by_hand.body.parameters()), list(by_hand.head.parameters())
    speed, rate = [torch.zeros_like(weight) for weight in head], 0.05
    for batch in list(torch.arange(NUM_ROWS).split(BATCH_SIZE)) * NUM_EPOCHS:
        loss = by_hand.compute_loss(examples[batch], by_hand(examples[batch]))
        of_head = torch.autograd.grad(loss.terms["head"], head, retain_graph=True)
        of_body = clipped(list(torch.autograd.grad(loss.terms["body"], body)), 0.1)
        with torch.no_grad():
            speed = [0.9 * one + grad for one, grad in zip(speed, of_head, strict=True)]
            for weight, one in zip(head, speed, strict=True):
                weight -= 0.3 * one
            for weight, grad in zip(body, of_body, strict=True):
                weight -= rate * grad
        rate *= 0.5

    assert trainer.global_step == 2 * 3 * NUM_EPOCHS
    torch.testing.assert_close(model.state_dict(), by_hand.state_dict(), rtol=1e-5, atol=1e-7)
    logged = trainer.callback_metrics
    assert (logged["lr_head"].item(), logged["lr_body"].item()) == pytest.approx((0.3, rate))


def test_a_part_that_the_model_does_not_have_is_one_line(make_trainer: MakeTrainer) -> None:
    model = Pair(optimizers={"bodi": Part(optimizer=SGD)})

    with pytest.raises(InputError, match=r"^optimizers: no such part: bodi; there are body, head$"):
        fit(make_trainer, model)


def test_a_part_without_a_term_is_one_line(make_trainer: MakeTrainer) -> None:
    class Forgetful(Pair):
        def compute_loss(self, example: VectorExample, prediction: RegressionPrediction) -> Loss:
            return Loss(terms={"head": super().compute_loss(example, prediction).terms["head"]})

    with pytest.raises(InputError, match=r"^optimizers: body: the loss has no term body; there are head$"):
        fit(make_trainer, Forgetful(optimizers=make_parts()))


def test_a_resumed_run_cannot_outlive_the_schedule_of_a_part(make_trainer: MakeTrainer) -> None:
    parts = make_parts(lr_scheduler=partial(CosineAnnealingLR, T_max=0))
    trainer = fit(make_trainer, Pair(optimizers=parts))
    assert trainer.lr_scheduler_configs[0].scheduler.T_max == 3 * NUM_EPOCHS
    trainer.save_checkpoint("last.ckpt")

    data = Rows(batch_size=BATCH_SIZE, shuffle=False)
    with pytest.raises(InputError, match=r"expected the 6 steps .* scheduled, got 9"):
        make_trainer(max_epochs=3).fit(Pair(optimizers=parts), data, ckpt_path="last.ckpt", weights_only=True)
