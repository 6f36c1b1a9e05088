from typing import Any

import pytest
import torch
from my_project.engine.data.sampler import EpochBatches, OrderedBatches
from my_project.engine.errors import InputError
from torch.utils.data import DistributedSampler, SequentialSampler


@pytest.mark.parametrize("size", [7, 16, 17, 19, 31])
@pytest.mark.parametrize("batch_size", [1, 4, 5])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_each_example_once_in_equally_many_batches(
    size: int, batch_size: int, world_size: int
) -> None:
    ranks = [
        list(EpochBatches(size, batch_size, shuffle=True, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]

    assert sorted(index for batches in ranks for batch in batches for index in batch) == list(range(size))
    assert {len(batches) for batches in ranks} == {len(EpochBatches(size, batch_size, world_size=world_size))}
    assert all(batch for batches in ranks for batch in batches)


def test_two_processes_see_together_what_one_sees_with_twice_the_batch() -> None:
    one = EpochBatches(37, 8, seed=3, shuffle=True)
    two = [EpochBatches(37, 4, seed=3, shuffle=True, rank=rank, world_size=2) for rank in range(2)]

    assert [sorted(batch) for batch in one] == [sorted(a + b) for a, b in zip(*two, strict=True)]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = EpochBatches(50, 8, seed=seed, shuffle=True)
        list(sampler)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_resume_skips_what_was_done_in_that_epoch_only() -> None:
    sampler = EpochBatches(50, 8, shuffle=True)
    sampler.set_epoch(2)
    whole = list(sampler)

    sampler.resume(epoch=2, num_done=3)
    sampler.set_epoch(2)

    assert list(sampler) == whole[3:]
    assert list(sampler) == whole
    assert len(sampler) == len(whole)


def test_drop_last_leaves_only_whole_batches() -> None:
    assert [len(batch) for batch in EpochBatches(19, 4, drop_last=True)] == [4, 4, 4, 4]


@pytest.mark.parametrize("options", [{"drop_last": True}, {"world_size": 4}])
def test_refuses_too_few_examples(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected at least 4 examples for one batch, got 3"):
        EpochBatches(3, 4, **options)  # type: ignore[arg-type]


def test_lightning_recognises_the_types() -> None:
    assert isinstance(EpochBatches(4, 2), DistributedSampler)
    assert isinstance(OrderedBatches(4, 2), SequentialSampler)
    assert not isinstance(EpochBatches(4, 2), SequentialSampler)


def test_on_a_device_an_epochs_order_goes_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(EpochBatches(11, 2, shuffle=True, rank=1, world_size=2))
    on_cpu = list(EpochBatches(11, 2, shuffle=True, rank=1, world_size=2, device=torch.device("cpu")))
    copies, to = [], torch.Tensor.to

    def count(tensor: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        copies.append(args)
        return to(tensor, *args, **options)

    monkeypatch.setattr(torch.Tensor, "to", count)
    batches = list(EpochBatches(11, 2, shuffle=True, rank=1, world_size=2, device=torch.device("meta")))

    assert [batch.tolist() for batch in on_cpu] == expected
    assert [(batch.device.type, len(batch)) for batch in batches] == [
        ("meta", len(rows)) for rows in expected
    ]
    assert len(copies) == 1


def test_fewer_examples_than_processes_are_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match=r"expected at least 4 .* got 3; train with fewer --trainer.devices"):
        EpochBatches(3, 1, world_size=4)
