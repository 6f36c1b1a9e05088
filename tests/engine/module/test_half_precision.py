"""A model in half precision: its criterion is not."""

import torch
from my_project.structs import Loss, VectorExample
from own_parts import Values, make_features
from support import MakeFake, MakeNet, MakeTrainer
from torch import Tensor, nn


class Seen(nn.CrossEntropyLoss):
    """Keeps what it was given."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        self.outputs = input
        return super().forward(input, target)


def test_the_criterion_of_a_model_in_bfloat16_is_computed_in_float32(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    criterion = Seen(weight=torch.tensor([1.0, 2.0, 0.3, 0.7]))
    model = make_net(criterion=criterion)
    trainer = make_trainer(precision="bf16-true", max_steps=1, limit_val_batches=1)
    trainer.fit(model, make_fake())
    batch = make_fake()
    batch.setup("fit")
    example = batch.train_set[range(8)]
    prediction = model.eval()(example)
    loss = model.compute_loss(example, prediction)

    assert prediction.logits.dtype == torch.bfloat16
    assert isinstance(loss, Loss)
    assert criterion.outputs.dtype == loss.total.dtype == torch.float32
    expected = nn.functional.cross_entropy(prediction.logits.float(), example.target, criterion.weight)
    torch.testing.assert_close(loss.total, expected, rtol=0, atol=0)
    assert model.example_loss(example, prediction).dtype == torch.float32


def test_a_criterion_of_values_gets_both_in_one_type(make_net: MakeNet) -> None:
    for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        model = Values(num_layers_outputs=1, criterion=nn.MSELoss()).to(dtype)
        example = VectorExample(features=make_features(4).to(dtype), target=torch.ones(4, 1, dtype=dtype))
        loss = model.compute_loss(example, model(example)).total
        loss.backward()
        assert loss.dtype == expected
