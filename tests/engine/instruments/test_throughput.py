"""How fast a run is: what is logged, and that counting changes nothing."""

import pytest
import torch
from my_project.engine.instruments.throughput import Throughput, count_flops
from my_project.structs import ImageExample
from support import MakeFake, MakeNet, MakeTrainer
from torch import nn


def test_flops_are_counted_and_the_model_stays_as_it_was(make_net: MakeNet) -> None:
    model = make_net()
    model.features[0].eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()

    one, two = (
        count_flops(model, ImageExample(image=torch.zeros(n, 3, 8, 8, dtype=torch.uint8))) for n in (1, 2)
    )

    assert two == 2 * one > 0
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_layer_has_the_flops_of_its_matrix() -> None:
    class Layer(nn.Linear):
        pass

    assert count_flops(Layer(5, 7), torch.zeros(3, 5)) == 2 * 3 * 5 * 7  # type: ignore[arg-type]


def test_a_run_is_the_same_with_and_without(
    make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake
) -> None:
    logged, weights = [], []
    for callbacks in ([], [Throughput()]):
        torch.manual_seed(0)
        model, trainer = make_net(), make_trainer(callbacks=callbacks, log_every_n_steps=2)
        trainer.fit(model, make_fake())
        logged.append(trainer.callback_metrics)
        weights.append(model.state_dict())

    torch.testing.assert_close(*weights, rtol=0, atol=0)
    assert set(logged[1]) - set(logged[0]) == {"train/examples_per_s", "train/tflops"}
    assert logged[1]["train/examples_per_s"] > 0
    flops = count_flops(make_net(), ImageExample(image=torch.zeros(16, 3, 8, 8, dtype=torch.uint8)))
    per_batch = logged[1]["train/tflops"] / logged[1]["train/examples_per_s"] * 16 * 1e12
    assert per_batch.item() == pytest.approx(3 * flops, rel=1e-3)
