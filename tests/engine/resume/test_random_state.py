"""Only the generator of the device in use is asked."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from my_project.engine.resume.random_state import RandomState
from support import MakeFake, MakeNet, MakeTrainer


def callback_on(device: str) -> RandomState:
    callback = RandomState()
    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)), world_size=1, global_rank=0
    )
    callback.setup(trainer, torch.nn.Module(), "fit")  # type: ignore[arg-type]
    return callback


def test_a_run_on_the_cpu_opens_no_gpu(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_asked(*args: Any) -> None:
        raise AssertionError("the GPU is asked for its random numbers")

    callback = RandomState()
    make_trainer(callbacks=[callback], max_steps=1).fit(make_net(), make_fake())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", is_asked)

    assert callback.state_dict()["ranks"][0]["device"] is None


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_the_generator_of_the_device_goes_on(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    module: Any = torch.get_device_module(device)
    restored = []
    monkeypatch.setattr(module, "get_rng_state", lambda: torch.tensor([7]))
    monkeypatch.setattr(module, "set_rng_state", restored.append)
    callback = callback_on(device)
    callback.load_state_dict(callback.state_dict())
    trainer: Any = SimpleNamespace(world_size=1, global_rank=0)
    callback.on_train_batch_start(trainer, torch.nn.Module(), None, 0)  # type: ignore[arg-type]

    assert restored == [torch.tensor([7])]
