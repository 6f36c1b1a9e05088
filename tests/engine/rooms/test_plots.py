"""Texts and rows of tables as pictures."""

import numpy as np
import pytest
from my_project.plots import image_sheet, text_tile

ROW = [f"column_{number} {number / 7:.4f}" for number in range(40)]


def height_of_ink(text: str) -> int:
    """Of the lowest pixel that is written on."""
    return int(np.flatnonzero((np.asarray(text_tile(text).convert("L")) < 128).any(axis=1)).max())


@pytest.mark.parametrize("num", [1, 6, 10, 30, 40])
def test_a_row_is_written_to_its_last_column(num: int) -> None:
    whole, but_one = text_tile(", ".join(ROW[:num])), text_tile(", ".join([*ROW[: num - 1], "x"]))

    assert whole.tobytes() != but_one.tobytes()
    assert height_of_ink(", ".join(ROW[:num])) < whole.height - 3, "the last line is cut off"
    ink = np.asarray(whole.convert("L")) < 128
    assert not ink[:, -3:].any(), "a line is cut off"


def test_a_text_without_end_is_cut_and_says_so() -> None:
    whole, more = (text_tile("word " * num) for num in (1000, 2000))

    assert whole.tobytes() == more.tobytes()
    assert whole.height < 900
    assert whole.tobytes() != text_tile("word " * 240).tobytes()


def test_texts_are_neither_enlarged_nor_reduced() -> None:
    tiles = [text_tile(text) for text in ("short", ", ".join(ROW))]

    sheet = image_sheet(tiles, ["a", "b"], as_they_are=True)

    for tile, (x, y, width, height) in zip(tiles, sheet.boxes, strict=True):
        assert sheet.picture.crop((x, y, x + width, y + height)).tobytes() == tile.tobytes()
