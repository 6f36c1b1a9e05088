from dataclasses import dataclass

import pytest
import torch
from my_project.structs import Example, ImageExample
from torch import Tensor
from torch.utils._pytree import tree_map


@dataclass(kw_only=True, eq=False)
class Extended(ImageExample):
    depth: Tensor
    note: str = "kept"


def make_batch(size: int = 5) -> Extended:
    rows = torch.arange(size)
    image = rows[:, None, None, None].expand(size, 3, 2, 2).float()
    return Extended(image=image, target=rows, depth=rows * 10, note="field")


def test_covers_each_tensor_field_of_a_subclass() -> None:
    moved = make_batch().to("meta")

    assert {name: value.device.type for name, value in moved.tensors.items()} == {
        "image": "meta",
        "target": "meta",
        "depth": "meta",
    }
    assert moved.note == "field"
    assert moved.index is None


def test_detach_cuts_the_graph() -> None:
    batch = ImageExample(image=torch.zeros(2, 1, 1, 1, requires_grad=True))

    assert not batch.detach().image.requires_grad


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [1]),
        (-1, [4]),
        (slice(1, 3), [1, 2]),
        ([4, 0], [4, 0]),
        (torch.tensor([3]), [3]),
        (torch.tensor([True, False, False, True, False]), [0, 3]),
    ],
)
def test_indexing_gives_a_batch_of_those_rows(rows: object, expected: list[int]) -> None:
    part = make_batch()[rows]  # type: ignore[index]

    assert part.target is not None
    assert part.target.tolist() == expected
    assert part.depth.tolist() == [10 * row for row in expected]
    assert len(part) == len(expected)


def test_iteration_ends_after_the_last_example() -> None:
    assert [len(example) for example in make_batch(3)] == [1, 1, 1]  # type: ignore[attr-defined]


def test_cat_then_index_gives_the_parts_back() -> None:
    first, second = make_batch(2), make_batch(3)

    torch.testing.assert_close(Extended.cat([first, second])[2:].image, second.image)


@pytest.mark.parametrize(
    "batches", [[], [make_batch(), Extended(image=torch.zeros(1, 3, 2, 2), depth=torch.zeros(1))]]
)
def test_cat_refuses_what_does_not_fit_together(batches: list[Extended]) -> None:
    with pytest.raises(ValueError, match=r"at least one batch|must have the fields"):
        Extended.cat(batches)


def test_refuses_fields_of_different_batch_size() -> None:
    with pytest.raises(ValueError, match=r"ImageExample: .* one batch size, got {'target': 3, 'image': 2}"):
        ImageExample(image=torch.zeros(2, 3, 4, 4), target=torch.zeros(3, dtype=torch.long))


def test_an_empty_batch_is_a_batch() -> None:
    whole, empty = make_batch(3), make_batch(3)[[]]

    assert len(empty) == 0
    assert {name: tuple(value.shape) for name, value in empty.tensors.items()} == {
        "image": (0, 3, 2, 2),
        "target": (0,),
        "depth": (0,),
    }
    assert list(empty) == []  # type: ignore[call-overload]
    assert len(empty.to("meta").detach()[:]) == 0
    joined = Extended.cat([empty, whole, empty])
    torch.testing.assert_close(joined.image, whole.image)
    torch.testing.assert_close(joined.depth, whole.depth)
    assert len(Extended.cat([empty, empty])) == 0


@dataclass(kw_only=True, eq=False)
class Words(Example):
    tokens: Tensor
    boxes: Tensor | None = None


def test_cat_fills_up_what_is_shorter_with_zeros_and_keeps_each_row_in_front() -> None:
    short = Words(tokens=torch.tensor([[1, 2]]), boxes=torch.ones(1, 1, 4, 2))
    long = Words(tokens=torch.tensor([[3, 4, 5], [6, 7, 8]]), boxes=torch.ones(2, 3, 4, 1))

    joined = Words.cat([short, long])

    assert joined.tokens.tolist() == [[1, 2, 0], [3, 4, 5], [6, 7, 8]]
    assert joined.boxes is not None
    assert joined.boxes.shape == (3, 3, 4, 2)
    assert joined.boxes[0, :1].eq(1).all()
    assert joined.boxes[1:, :, :, :1].eq(1).all()
    assert joined.boxes.sum() == 8 + 24


def test_cat_refuses_fields_that_differ_in_their_number_of_axes() -> None:
    with pytest.raises(RuntimeError, match="same number of dimensions"):
        Words.cat([Words(tokens=torch.zeros(1, 2)), Words(tokens=torch.zeros(1, 2, 2))])


def test_shapes_and_bytes_are_those_of_the_tensors() -> None:
    batch = make_batch(5)

    assert batch.shapes == {"image": (3, 2, 2), "target": (), "depth": ()}
    assert batch.nbytes == 5 * 12 * 4 + 2 * 5 * 8


def test_torch_takes_a_struct_for_a_tree_of_its_tensors() -> None:
    doubled = tree_map(lambda value: 2 * value if isinstance(value, Tensor) else value, make_batch(2))

    assert isinstance(doubled, Extended)
    assert doubled.depth.tolist() == [0, 20]
    assert (doubled.note, doubled.index) == ("field", None)


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", False), ("mps", False), ("xpu", False), ("cuda", True), ("cuda:1", True)]
)
def test_only_a_copy_to_cuda_goes_on_before_it_is_there(
    monkeypatch: pytest.MonkeyPatch, device: str, expected: bool
) -> None:
    seen = []

    def to(tensor: Tensor, device: torch.device, *, non_blocking: bool) -> Tensor:
        seen.append(non_blocking)
        return tensor

    monkeypatch.setattr(Tensor, "to", to)
    make_batch(2).to(device)

    assert set(seen) == {expected}
