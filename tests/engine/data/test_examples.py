from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from my_project.engine.contracts import Example
from my_project.engine.data.examples import ExampleSet, as_sets, check_classes, describe_examples
from my_project.engine.data.split import split_rows
from my_project.engine.errors import InputError
from torch import Tensor


@dataclass(kw_only=True, eq=False)
class Measured(Example):
    """A row of a table: any struct may be in a set."""

    features: Tensor
    unit: str = "mm"


def make(size: int = 10) -> ExampleSet[Measured]:
    features = torch.arange(size)[:, None].expand(size, 2).float()
    return ExampleSet(Measured(features=features, target=torch.arange(size) % 3))


def test_a_batch_is_what_its_indices_say() -> None:
    batch = make()[[7, 2]]

    assert batch.features.tolist() == [[7, 7], [2, 2]]
    assert batch.target is not None
    assert batch.target.tolist() == [1, 2]
    assert batch.index is not None
    assert batch.index.tolist() == [7, 2]
    assert batch.unit == "mm"


def test_a_subset_of_a_subset_keeps_the_index_of_the_whole() -> None:
    subset = make().subset(torch.tensor([9, 4, 1])).subset(torch.tensor([2, 0]))

    for examples in (subset, subset.to(torch.device("cpu"))):
        batch = examples[[1]]
        assert batch.features[0, 0] == 9
        assert batch.target is not None
        assert batch.target.tolist() == [0]
        assert batch.index is not None
        assert batch.index.tolist() == [9]
        assert len(examples) == 2


def test_a_subset_shares_its_memory_and_a_moved_one_holds_its_own_examples_alone() -> None:
    whole = make()
    subset = whole.subset(torch.tensor([9, 4]))
    moved = subset.to(torch.device("cpu"))

    assert subset.examples is whole.examples
    assert whole.nbytes == 10 * (2 * 4 + 8)
    assert subset.nbytes == moved.nbytes == 2 * (2 * 4 + 8)
    assert whole[[4]].features.tolist() == moved[[1]].features.tolist() == [[4, 4]]


def test_rows_choose_the_examples_of_a_set() -> None:
    examples = make().examples
    batch = ExampleSet(examples, rows=torch.tensor([8, 3]))[[0, 1]]

    assert batch.features[:, 0].tolist() == [8, 3]
    assert batch.index is not None
    assert batch.index.tolist() == [8, 3]


def test_refuses_an_empty_set() -> None:
    with pytest.raises(InputError, match="an empty set; check the data folder"):
        ExampleSet(Measured(features=torch.zeros(0, 2)))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 3], r"targets in \[0, 3\), got 3 at example 1"),
        ([-1, 5], r"targets in \[0, 3\), got -1 at example 0"),
    ],
)
def test_refuses_targets_that_name_no_class(targets: list[int], message: str) -> None:
    check_classes(torch.tensor([0, 1, 2]), 3)
    with pytest.raises(InputError, match=message):
        check_classes(torch.tensor(targets), 3)


def test_parts_are_disjoint_seeded_and_of_the_wanted_size() -> None:
    parts = split_rows(101, {"val": 0.2, "hard": 11}, seed=4)

    assert {name: len(rows) for name, rows in parts.items()} == {"val": 20, "hard": 11, "train": 70}
    assert sorted(torch.cat(list(parts.values())).tolist()) == list(range(101))
    torch.testing.assert_close(split_rows(101, {"val": 0.2, "hard": 11}, seed=4)["val"], parts["val"])
    assert split_rows(101, {"val": 0.2, "hard": 11}, seed=5)["val"].tolist() != parts["val"].tolist()


@pytest.mark.parametrize("part", [0.001, 0, -0.5, 10, 12])
def test_refuses_a_split_that_leaves_nothing(part: float) -> None:
    with pytest.raises(InputError, match="expected at least one example in"):
        split_rows(10, {"val": part}, seed=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parts", [{"val": 0.1}, {"val": 50}, {"val": 0.2, "hard": 33, "easy": 0.05}])
def test_a_stratified_part_has_each_class_within_one_example_of_its_share(
    seed: int, parts: dict[str, float]
) -> None:
    sizes = [90, 41, 7, *(1 for _ in range(10))]  # rare classes must not crowd the others out
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]

    rows = split_rows(len(labels), parts, seed, labels)

    left = Counter(labels.tolist())
    for name in parts:
        counts, num_left = Counter(labels[rows[name]].tolist()), left.total()
        for label, size in left.items():
            assert abs(counts[label] - size * len(rows[name]) / num_left) < 1
        left -= counts
    assert Counter(labels[rows["train"]].tolist()) == left
    assert sorted(torch.cat(list(rows.values())).tolist()) == list(range(len(labels)))
    assert {name: len(part) for name, part in rows.items()} == {
        name: len(part) for name, part in split_rows(len(labels), parts, seed).items()
    }


def test_a_stratified_part_rounds_up_where_the_remainder_is_largest() -> None:
    """By hand: of 100 a tenth is 5.2, 3.1, 0.9 and 0.8 of the classes."""
    labels = torch.repeat_interleave(torch.arange(4), torch.tensor([52, 31, 9, 8]))

    val = split_rows(100, {"val": 0.1}, seed=0, labels=labels)["val"]

    assert labels[val].bincount().tolist() == [5, 3, 1, 1]


def test_a_stratified_split_is_seeded() -> None:
    labels = torch.arange(100) % 3
    first, same, other = (split_rows(100, {"val": 0.3}, seed, labels)["val"].tolist() for seed in (1, 1, 2))

    assert first == same != other


def test_what_is_loaded_becomes_sets_by_name() -> None:
    whole = make()
    struct = whole.examples

    assert as_sets(None, "val") == {}
    assert as_sets(whole, "train") == {"train": whole}
    assert as_sets(struct, "test")["test"].examples is struct
    several = as_sets({"easy": whole, "hard": struct}, "val")
    assert list(several) == ["easy", "hard"]
    assert several["easy"] is whole
    assert several["hard"].examples is struct


@pytest.mark.parametrize(
    ("target", "num_outputs"),
    [
        (None, None),
        (torch.tensor([0, 4, 1]), 5),
        (torch.tensor([False, True, True]), 2),
        (torch.tensor([[0, 1], [1, 1], [0, 0]]), 2),
        (torch.zeros(3, 6, 6, dtype=torch.long) + 2, 3),
        (torch.zeros(3), 1),
        (torch.zeros(3, 4), 4),
    ],
    ids=["none", "classes", "yes or no", "labels", "masks", "a value", "values"],
)
def test_a_set_tells_its_shapes_and_the_number_of_outputs(
    target: Tensor | None, num_outputs: int | None
) -> None:
    described = describe_examples(Measured(features=torch.zeros(3, 7), target=target, index=torch.arange(3)))

    assert described.num_outputs == num_outputs
    assert described.shapes == {"features": (7,)}
