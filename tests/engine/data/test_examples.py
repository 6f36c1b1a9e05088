import pytest
import torch
from my_project.engine.data.examples import ExampleSet
from my_project.engine.data.split import split_rows
from my_project.engine.errors import InputError


def make(size: int = 10) -> ExampleSet:
    images = torch.arange(size, dtype=torch.uint8)[:, None, None, None].expand(size, 1, 2, 2)
    return ExampleSet(images, torch.arange(size) % 3, 3)


def test_a_batch_is_what_its_indices_say() -> None:
    batch = make()[[7, 2]]

    assert batch.image[:, 0, 0, 0].tolist() == [7, 2]
    assert batch.target is not None
    assert batch.target.tolist() == [1, 2]
    assert batch.index is not None
    assert batch.index.tolist() == [7, 2]


def test_a_subset_of_a_subset_keeps_the_index_of_the_whole() -> None:
    subset = make().subset(torch.tensor([9, 4, 1])).subset(torch.tensor([2, 0]))

    for images in (subset, subset.to(torch.device("cpu"))):
        batch = images[[1]]
        assert batch.image[0, 0, 0, 0] == 9
        assert batch.target is not None
        assert batch.target.tolist() == [0]
        assert batch.index is not None
        assert batch.index.tolist() == [9]
        assert len(images) == 2


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        (torch.zeros(0, 1, 2, 2), None, "an empty set"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0]), "a target for each of 2 images, got 1"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0, 3]), r"targets in \[0, 3\), got 3 at example 1"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([-1, 0]), r"targets in \[0, 3\), got -1 at example 0"),
    ],
)
def test_refuses(images: torch.Tensor, targets: torch.Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExampleSet(images.byte(), targets, 3)


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
