"""Texts of like length in a batch, in an order that is exact in resume and over processes."""

from itertools import pairwise

import pytest
import torch
from my_project.engine.data.sampler import WINDOW, EpochBatches
from torch import Tensor


def make_lengths(size: int) -> Tensor:
    return torch.randint(1, 100, (size,), generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("size", [1, 7, 64, 1003])
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("drop_last", [False, True])
def test_each_example_is_drawn_once_in_as_many_batches_as_without_lengths(
    size: int, world_size: int, drop_last: bool
) -> None:
    if size < 2 * world_size:
        return
    options = {"seed": 3, "shuffle": True, "world_size": world_size, "drop_last": drop_last}
    ranks = [
        list(EpochBatches(size, 2, rank=rank, lengths=make_lengths(size), **options))  # type: ignore[arg-type]
        for rank in range(world_size)
    ]
    plain = [
        list(EpochBatches(size, 2, rank=rank, **options))  # type: ignore[arg-type]
        for rank in range(world_size)
    ]

    drawn = [index for batches in ranks for batch in batches for index in batch]
    assert len(drawn) == len(set(drawn))
    assert [[len(batch) for batch in batches] for batches in ranks] == [
        [len(batch) for batch in batches] for batches in plain
    ]
    assert drop_last or sorted(drawn) == list(range(size))


def test_a_batch_holds_like_lengths_but_the_last_which_is_drawn_from_all() -> None:
    lengths = make_lengths(4000)
    batches = list(EpochBatches(4000 - 8, 16, seed=1, shuffle=True, lengths=lengths))
    plain = list(EpochBatches(4000 - 8, 16, seed=1, shuffle=True))

    def waste(batches: list[list[int]]) -> float:
        padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
        return 1 - sum(int(lengths[batch].sum()) for batch in batches) / padded

    assert waste(plain) > 0.4
    assert waste(batches[:-1]) < 0.05
    assert batches[-1] == plain[-1]


def test_batches_come_in_a_random_order_of_lengths_that_each_epoch_draws_anew() -> None:
    lengths = make_lengths(16 * WINDOW * 4)
    sampler = EpochBatches(len(lengths), 16, shuffle=True, lengths=lengths)
    first = [int(lengths[batch].max()) for batch in sampler]
    together = {tuple(sorted(batch)) for batch in sampler}
    sampler.set_epoch(1)
    next_epoch = [tuple(sorted(batch)) for batch in sampler]

    rises = sum(one < two for one, two in pairwise(first))
    assert 0.35 < rises / len(first) < 0.65
    assert not together & set(next_epoch)


def test_the_order_depends_on_seed_and_epoch_alone_and_a_resume_skips_what_was_done() -> None:
    lengths = make_lengths(203)
    sampler = EpochBatches(203, 8, seed=5, shuffle=True, lengths=lengths)
    sampler.set_epoch(4)
    whole = list(sampler)
    again = EpochBatches(203, 8, seed=5, shuffle=True, lengths=lengths)
    again.resume(4, 7)

    assert list(again) == whole[7:]
    assert list(again) == whole


def test_two_processes_see_together_what_one_sees_with_twice_the_batch() -> None:
    lengths = make_lengths(203)
    one = EpochBatches(203, 8, seed=3, shuffle=True, lengths=lengths)
    two = [
        EpochBatches(203, 4, seed=3, shuffle=True, lengths=lengths, rank=rank, world_size=2)
        for rank in range(2)
    ]

    assert [sorted(batch) for batch in one] == [sorted(a + b) for a, b in zip(*two, strict=True)]


def test_stored_order_is_kept_and_without_lengths_nothing_changes() -> None:
    generator = torch.Generator().manual_seed(2 * 1_000_003 + 1)
    expected = torch.randperm(10, generator=generator).tolist()
    sampler = EpochBatches(10, 4, seed=2, shuffle=True)
    sampler.set_epoch(1)

    assert [index for batch in sampler for index in batch] == expected
    ordered = EpochBatches(10, 4, lengths=make_lengths(10))
    assert [index for batch in ordered for index in batch] == list(range(10))
