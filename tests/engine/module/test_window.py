import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.module.window import LossWindow

CPU = torch.device("cpu")


def window_of(*losses: float) -> LossWindow:
    window = LossWindow()
    for loss in losses:
        window.append(torch.tensor(loss))
    return window


def test_the_mean_is_that_of_all_losses_and_empties_the_window() -> None:
    window = window_of(1.0, 2.0, 6.0)

    assert window
    assert window.take_mean().item() == 3.0
    assert not window
    window.append(torch.tensor(5.0))
    assert window.take_mean().item() == 5.0


def test_no_graph_is_kept_alive() -> None:
    window = LossWindow()
    window.append(torch.tensor(1.0, requires_grad=True) * 2)

    assert not window.take_mean().requires_grad


@pytest.mark.parametrize(
    ("losses", "first"),
    [
        ((1.0, float("nan"), float("inf"), 2.0), "got nan at step 8, batch 1 of epoch 2"),
        ((1.0, 2.0, 3.0, float("-inf")), "got -inf at step 10, batch 3 of epoch 2"),
    ],
)
def test_the_first_loss_that_is_not_finite_is_named(losses: tuple[float, ...], first: str) -> None:
    with pytest.raises(InputError) as error:
        window_of(*losses).check_finite(step=10, batch_idx=3, epoch=2, advice="lower the learning rate")

    assert str(error.value) == f"expected a finite loss, {first}; lower the learning rate"


def test_finite_losses_are_let_pass_and_kept() -> None:
    window = window_of(1.0, 3.0)
    window.check_finite(step=2, batch_idx=1, epoch=0, advice="")

    assert window.take_mean().item() == 2.0


def test_a_window_goes_on_from_the_state_of_another() -> None:
    first, second = window_of(1.0, 2.0), window_of(100.0)
    second.load_state(first.state(), CPU)
    second.append(torch.tensor(6.0))

    assert second.take_mean().item() == 3.0
    assert first.take_mean().item() == 1.5, "and leaves that other alone"


def test_the_state_is_on_the_cpu_and_goes_to_the_device_that_is_asked_for() -> None:
    window = LossWindow()
    window.load_state(window_of(1.0).state(), torch.device("meta"))
    window.append(torch.tensor(2.0, device="meta"))

    assert window.take_mean().device.type == "meta"
    assert [loss.device for loss in window_of(1.0).state()] == [CPU]
