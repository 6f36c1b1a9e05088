"""Large batches on a CPU: in pieces, by several threads, with the result of the whole."""

import threading

import pytest
import torch
from my_project.engine.augment import PhotoAugment, View, in_pieces
from my_project.model.normalize import Normalize
from my_project.structs.example import ImageExample
from torch import Tensor

SIDE, NUM = 256, 21  # 4 million values: four pieces, of 6, 5, 5 and 5 photos


@pytest.fixture
def photos() -> ImageExample:
    draws = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (NUM, 3, SIDE, SIDE), dtype=torch.uint8, generator=draws)
    aspect = torch.rand(NUM, generator=draws) + 0.5
    return ImageExample(image=image, target=torch.zeros(NUM).long(), index=torch.arange(NUM), aspect=aspect)


def few(photos: ImageExample) -> list[ImageExample]:
    """Pieces that are too small to be divided again."""
    return [photos[rows] for rows in torch.arange(NUM).split(4)]


def test_an_augmented_batch_is_that_of_its_parts(photos: ImageExample) -> None:
    augment = PhotoAugment(brightness=0.4, hue=0.1, blur=0.5, size=(SIDE, SIDE))

    image = augment(photos, seed=1, epoch=2).image

    expected = torch.cat([augment(part, seed=1, epoch=2).image for part in few(photos)])
    assert torch.equal(image, expected)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_batch_is_seen_as_its_parts_are_also_without_gradients(photos: ImageExample, fit: str) -> None:
    view = View(stored=SIDE, size=(200, 240), fit=fit)
    expected = torch.cat([view(part).image for part in few(photos)])

    with torch.inference_mode():
        image = view(photos).image

    assert torch.equal(image, expected)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_batch_is_normalised_as_by_hand_in_channels_last_memory(photos: ImageExample, mode: type) -> None:
    normalize, mean, std = Normalize(), torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.1, 0.2, 0.3])
    normalize.set_statistics(mean, std)

    with mode():
        result = normalize(photos.image)

    expected = (photos.image.double() / 255 - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(result, expected.float())
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_several_threads_share_a_batch_and_each_computes_by_itself(photos: ImageExample) -> None:
    seen: set[tuple[int, int]] = set()
    both = threading.Barrier(2, timeout=60)
    torch.set_num_threads(2)  # each test begins and ends with one

    def change(image: Tensor) -> Tensor:
        seen.add((threading.get_ident(), torch.get_num_threads()))
        both.wait()
        return image

    in_pieces(change, photos.image[:20])

    assert [num for _, num in seen] == [1, 1]


def test_an_error_of_a_piece_is_raised(photos: ImageExample) -> None:
    def refuse(image: Tensor) -> Tensor:
        raise ValueError(f"no piece of {len(image)}")

    with pytest.raises(ValueError, match="no piece of 6"):
        in_pieces(refuse, photos.image)


def test_an_exported_network_normalises_each_batch(photos: ImageExample) -> None:
    normalize = Normalize()

    exported = torch.export.export(normalize, (photos.image,)).module()

    other = photos.image.flip(0)
    torch.testing.assert_close(exported(other), normalize(other))
