import pytest
import torch
from my_project.engine.instruments.top_k import TopBottomK
from my_project.structs import ImageExample, MulticlassPrediction


def batch(index: torch.Tensor) -> tuple[ImageExample, MulticlassPrediction]:
    """Examples whose pixels and logits tell their index."""
    image = index.float()[:, None, None, None].expand(-1, 1, 2, 3)
    return ImageExample(image=image, index=index), MulticlassPrediction(
        logits=index.float()[:, None].expand(-1, 2)
    )


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_equals_a_full_sort_for_any_batch_size(batch_size: int) -> None:
    order = torch.randperm(100)
    score = torch.randint(0, 9, (100,)).float()  # with many ties
    top = TopBottomK(5)
    for rows in order.split(batch_size):
        top.update(score[rows], *batch(rows))

    full = sorted(range(100), key=lambda row: (-score[row].item(), row))
    computed = top.compute()
    assert computed is not None
    for (kept, example, prediction), expected in zip(computed, (full[:5], full[::-1][:5]), strict=True):
        assert example.index is not None
        assert example.index.tolist() == expected
        assert kept.tolist() == score[expected].tolist()
        assert example.image[:, 0, 0, 0].tolist() == expected
        assert prediction.logits[:, 0].tolist() == expected


def scores(top: TopBottomK) -> list[list[float]]:
    computed = top.compute()
    assert computed is not None
    return [kept.tolist() for kept, _, _ in computed]


def test_keeps_what_there_is_when_it_is_less_than_k() -> None:
    top = TopBottomK(5)
    top.update(torch.tensor([1.0, 2.0]), *batch(torch.tensor([4, 3])))
    top.update(torch.empty(0), *batch(torch.empty(0, dtype=torch.long)))

    assert scores(top) == [[2.0, 1.0], [1.0, 2.0]]


def test_an_example_may_stand_at_both_ends() -> None:
    top = TopBottomK(2)
    for value in (3.0, 1.0, 2.0):
        top.update(torch.tensor([value]), *batch(torch.tensor([int(value)])))

    assert scores(top) == [[3.0, 2.0], [1.0, 2.0]]


def test_without_an_index_equals_stay_in_order_of_arrival() -> None:
    top = TopBottomK(2)
    for pixel in range(9):
        example = ImageExample(image=torch.full((1, 1, 1, 1), float(pixel)))
        top.update(torch.ones(1), example, MulticlassPrediction(logits=torch.zeros(1, 2)))

    computed = top.compute()
    assert computed is not None
    assert [example.image.flatten().tolist() for _, example, _ in computed] == [[0.0, 1.0], [8.0, 7.0]]


def test_not_a_number_is_highest() -> None:
    top = TopBottomK(1)
    top.update(torch.tensor([9.0, float("nan"), 3.0]), *batch(torch.tensor([0, 1, 2])))

    highest, lowest = scores(top)
    assert str(highest) == "[nan]"
    assert lowest == [3.0]


def test_nothing_seen_is_nothing_kept() -> None:
    assert TopBottomK(3).compute() is None
