import pytest
import torch
from my_project.engine.overlay import PALETTE, paint_classes

IMAGE = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)


def test_a_class_is_mixed_half_and_half_with_its_colour() -> None:
    classes = torch.randint(0, 5, (2, 4, 5))

    painted = paint_classes(IMAGE, classes)

    for b, row, col in classes.nonzero().tolist():
        colour = PALETTE[classes[b, row, col] - 1]
        assert painted[b, :, row, col].tolist() == ((IMAGE[b, :, row, col].int() + colour) // 2).tolist()


@pytest.mark.parametrize("label", [0, -1, -100])
def test_the_background_and_what_is_negative_stay_as_they_are(label: int) -> None:
    assert torch.equal(paint_classes(IMAGE, torch.full((2, 4, 5), label)), IMAGE)


def test_colours_begin_anew_after_the_last() -> None:
    first, again = (paint_classes(IMAGE, torch.full((2, 4, 5), label)) for label in (1, 1 + len(PALETTE)))

    assert torch.equal(first, again)
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == len(PALETTE)


def test_a_grey_image_becomes_one_of_colours() -> None:
    painted = paint_classes(IMAGE[:, :1], torch.zeros(2, 4, 5, dtype=torch.long))

    assert torch.equal(painted, IMAGE[:, :1].expand(-1, 3, -1, -1))
