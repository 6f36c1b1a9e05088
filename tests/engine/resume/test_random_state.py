"""Only the generator of the device in use is asked."""

from typing import Any

import pytest
import torch
from my_project.engine.resume.random_state import read_state, write_state


def test_a_run_on_the_cpu_opens_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_asked(*args: Any) -> None:
        raise AssertionError("the GPU is asked for its random numbers")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", is_asked)
    monkeypatch.setattr(torch.cuda, "set_rng_state", is_asked)

    state = read_state(torch.device("cpu"))
    write_state(state, torch.device("cpu"))
    assert state["device"] is None


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_the_generator_of_the_device_goes_on(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    module: Any = torch.get_device_module(device)
    restored = []
    monkeypatch.setattr(module, "get_rng_state", lambda: torch.tensor([7]))
    monkeypatch.setattr(module, "set_rng_state", restored.append)

    write_state(read_state(torch.device(device)), torch.device(device))

    assert restored == [torch.tensor([7])]


def test_numbers_go_on_on_the_cpu() -> None:
    cpu = torch.device("cpu")
    state = read_state(cpu)
    drawn = torch.rand(3)
    write_state(state, cpu)

    assert torch.equal(torch.rand(3), drawn)
