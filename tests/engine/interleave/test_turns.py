"""Whose turn it is: shares, ends of an epoch, rounds, and the place at which a run goes on."""

import heapq
from collections.abc import Mapping
from fractions import Fraction
from itertools import islice, pairwise

import pytest
import torch
from my_project.engine.contracts import Example
from my_project.engine.data.examples import ExampleSet
from my_project.engine.data.loaders import TrainLoader, make_loader
from my_project.engine.data.sampler import EpochBatches
from my_project.engine.errors import InputError
from my_project.engine.interleave.turns import Turns, TurnsLoader, Until

LENGTHS = {"a": 3, "b": 5, "c": 4}


def names(turns: Turns) -> str:
    return "".join(name for name, _, _ in turns)


def by_due_time(shares: Mapping[str, int], num: int) -> str:
    """The reference: one batch after the other, in exact numbers."""
    queue = [(Fraction(1, 2 * share), number, name) for number, (name, share) in enumerate(shares.items())]
    heapq.heapify(queue)
    order = ""
    for _ in range(num):
        due, number, name = heapq.heappop(queue)
        order += name
        heapq.heappush(queue, (due + Fraction(1, shares[name]), number, name))
    return order


@pytest.mark.parametrize("shares", [(1, 1, 1), (3, 1, 1), (1, 4, 2), (7, 3, 5)])
def test_whoever_is_due_first_gives_the_next_batch(shares: tuple[int, int, int]) -> None:
    named = dict(zip(LENGTHS, shares, strict=True))

    order = names(Turns(LENGTHS, {name: share / 10 for name, share in named.items()}, 45))

    expected = by_due_time(named, 45)
    assert {name: order.count(name) for name in named} == {name: expected.count(name) for name in named}
    assert order[:15] == expected[:15]
    for name, share in named.items():
        for end in range(1, 46):
            assert abs(order[:end].count(name) - end * share / sum(shares)) < 2


@pytest.mark.parametrize(
    ("lengths", "until", "expected"),
    [
        ({"a": 2, "b": 3}, "shortest", "abab"),
        ({"a": 2, "b": 3}, "longest", "ababab"),
        ({"a": 3, "b": 2}, "shortest", "abab"),
        ({"a": 2, "b": 2}, "longest", "abab"),
        ({"a": 2, "b": 3}, 3, "aba"),
        ({"a": 4}, "longest", "aaaa"),
    ],
)
def test_an_epoch_ends_when_it_should(lengths: dict[str, int], until: Until, expected: str) -> None:
    turns = Turns(lengths, dict.fromkeys(lengths, 1.0), until)

    assert names(turns) == expected
    assert len(turns) == len(expected)
    assert turns.counts == {name: expected.count(name) for name in lengths}


def test_a_share_decides_who_is_through_first() -> None:
    shares = {"a": 1, "b": 4}

    assert names(Turns({"a": 3, "b": 4}, shares, "shortest")).count("b") == 4
    assert names(Turns({"a": 3, "b": 4}, shares, "longest")).count("a") == 3


def test_each_source_goes_on_where_it_was_round_after_round() -> None:
    turns = Turns(LENGTHS, {"a": 2, "b": 1, "c": 1}, "shortest")
    seen: dict[str, list[int]] = {name: [] for name in LENGTHS}
    for epoch in range(7):
        turns.set_epoch(epoch)
        for name, number, place in turns:
            assert 0 <= place < LENGTHS[name]
            seen[name].append(number * LENGTHS[name] + place)

    for places in seen.values():
        assert places[0] == 0
        assert all(later == earlier + 1 for earlier, later in pairwise(places))
    assert seen["a"][-1] > 3 * LENGTHS["a"]


def test_it_begins_at_any_place_of_any_epoch() -> None:
    turns = Turns(LENGTHS, {"a": 5, "b": 2, "c": 1}, "longest")
    turns.set_epoch(3)
    whole = list(turns)

    for first in range(len(whole) + 1):
        turns.resume(3, first)
        assert list(turns) == whole[first:]
    assert list(turns) == whole, "the next iteration begins at the first"


def test_a_source_without_a_batch_is_refused() -> None:
    with pytest.raises(InputError, match="got none of b in 3; raise its proportion, or until"):
        Turns({"a": 9, "b": 9}, {"a": 9, "b": 1}, 3)


def loader(size: int, batch_size: int, rank: int = 0, world_size: int = 1, workers: int = 0) -> TrainLoader:
    sampler = EpochBatches(
        size, batch_size, seed=size, shuffle=True, rank=rank, world_size=world_size, device=None
    )
    examples = ExampleSet(Example(target=torch.arange(size) + 1000 * size))
    return make_loader(TrainLoader, examples, sampler, num_workers=workers, pin_memory=False, seed=0)


def drawn(turns: TurnsLoader) -> list[tuple[str, int, list[int]]]:
    return [(each.source, each.round, each.batch.target.tolist()) for each in turns]


def test_two_processes_see_in_each_step_what_one_does_with_twice_the_batch() -> None:
    def of(batch_size: int, **ranks: int) -> list[tuple[str, int, list[int]]]:
        loaders = {"a": loader(14, batch_size, **ranks), "b": loader(22, batch_size, **ranks)}
        lengths = {name: len(each) for name, each in loaders.items()}
        turns = Turns(lengths, {"a": 1, "b": 2}, 11)
        turns.set_epoch(2)
        return drawn(TurnsLoader(loaders, turns))

    one = of(4)
    two = [of(2, rank=rank, world_size=2) for rank in (0, 1)]

    for whole, first, second in zip(one, *two, strict=True):
        assert whole[:2] == first[:2] == second[:2]
        assert sorted(whole[2]) == sorted(first[2] + second[2])


def test_batches_of_workers_come_in_the_same_order_also_from_the_middle() -> None:
    def of(workers: int, first: int) -> list[tuple[str, int, list[int]]]:
        loaders = {"a": loader(6, 2, workers=workers), "b": loader(7, 2)}
        turns = Turns({"a": 3, "b": 4}, {"a": 2, "b": 1}, 9)
        turns.resume(1, first)
        both = TurnsLoader(loaders, turns)
        if first == 0:
            list(islice(both, 4))  # what was left in the middle is forgotten
            turns.resume(1, first)
        return drawn(both)

    expected = of(0, 0)

    assert of(1, 0) == expected
    assert of(1, 5) == expected[5:]
