import subprocess
import sys
from collections import Counter

import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.texts import Tokenizer

pytest.importorskip("tokenizers")
WORDS = ["low", "lower", "lowest", "new", "newer", "newest", "wide", "wider", "widest"] * 5
SENTENCES = [f"The {word} road,\nand   so on." for word in WORDS]


def read(tokenizer: Tokenizer, texts: list[str], max_length: int = 1000) -> list[list[str]]:
    tokens = tokenizer.encode(texts, max_length)
    parts = tokens.ids.long().tensor_split(tokens.offsets[1:-1])
    return [[tokenizer.vocabulary[number] for number in part.tolist()] for part in parts]


def test_characters_are_numbered_by_how_frequent_they_are() -> None:
    tokenizer = Tokenizer.fit(WORDS, "characters", 100)
    counts = Counter("".join(WORDS))

    expected = sorted(counts, key=lambda letter: (-counts[letter], letter))
    assert tokenizer.vocabulary == ["[PAD]", "[UNK]", *expected]


def test_a_text_is_its_tokens_joined_also_line_breaks_and_spaces() -> None:
    for kind in ("characters", "bpe"):
        tokenizer = Tokenizer.fit(SENTENCES, kind, 60)
        pieces = read(tokenizer, SENTENCES[:3])
        assert ["".join(row) for row in pieces] == SENTENCES[:3], kind


def test_bpe_joins_what_is_frequent_and_never_over_words() -> None:
    tokenizer = Tokenizer.fit(SENTENCES, "bpe", 45)
    (pieces,) = read(tokenizer, ["The lowest road"])

    assert len(tokenizer.vocabulary) == 45
    assert "The" in pieces
    assert " road" in pieces
    assert not [token for token in tokenizer.vocabulary if " " in token.strip(" ") and token.strip()]


def test_words_are_the_same_at_the_beginning_and_behind_any_white_space() -> None:
    tokenizer = Tokenizer.fit(["T R  IH2 ", "R\n\tT", "T"], "words", 100)
    pieces = read(tokenizer, [" T IH2", "T  R\nT", "", "  ", "IH T [PAD]"])

    assert tokenizer.vocabulary == ["[PAD]", "[UNK]", " T", " R", " IH2"]
    assert pieces == [[" T", " IH2"], [" T", " R", " T"], [], [], ["[UNK]", " T", "[UNK]"]]
    assert read(Tokenizer(tokenizer.text), ["R T"]) == [[" R", " T"]]


def test_what_was_not_seen_is_unknown_and_words_like_special_tokens_are_letters() -> None:
    tokenizer = Tokenizer.fit([*WORDS, "[PAD]"], "characters", 100)

    assert read(tokenizer, ["low!", "[PAD]"]) == [["l", "o", "w", "[UNK]"], ["[", "P", "A", "D", "]"]]


def test_letters_are_composed_and_may_be_taken_as_small_ones() -> None:
    tokenizer = Tokenizer.fit(["café"], "characters", 100, lowercase=True)

    assert read(tokenizer, ["CAFE\u0301"]) == [["c", "a", "f", "é"]]


def test_long_texts_are_cut_and_counted_and_empty_ones_have_no_token() -> None:
    tokenizer, texts = Tokenizer.fit(WORDS, "characters", 100), ["lowest", "", "low", "wider"]
    tokens = tokenizer.encode(texts, 3)

    assert ["".join(row) for row in read(tokenizer, texts, 3)] == ["low", "", "low", "wid"]
    assert tokens.lengths.tolist() == [3, 0, 3, 3]
    assert tokens.offsets.tolist() == [0, 3, 3, 6, 9]
    assert tokens.num_cut == 2
    assert tokens.ids.dtype == torch.int16


def test_more_tokens_than_16_bits_take_32() -> None:
    tokenizer = Tokenizer.fit([chr(0x4E00 + number) for number in range(20_000)], "characters", 50_000)
    small = tokenizer.encode(["\u4e00"], 3)
    letters = [
        chr(code) for start, stop in ((0x4E00, 0x9FFF), (0xAC00, 0xD7A3)) for code in range(start, stop)
    ]
    large = Tokenizer.fit([*letters, *(chr(code) for code in range(0x20000, 0x22000))], "characters", 50_000)

    assert len(large.vocabulary) > 2**15
    assert small.ids.dtype == torch.int16
    assert large.encode(["\u4e00"], 3).ids.dtype == torch.int32
    (got,) = read(large, ["\uac00\u4e01"])
    assert got == ["\uac00", "\u4e01"]


def test_it_is_made_again_from_its_text() -> None:
    for kind in ("characters", "bpe"):
        tokenizer = Tokenizer.fit(SENTENCES, kind, 60, lowercase=True)
        again = Tokenizer(tokenizer.text)
        assert again.vocabulary == tokenizer.vocabulary
        assert read(again, ["A Wider [PAD] road?"]) == read(tokenizer, ["A Wider [PAD] road?"])


FIT = """
from my_project.engine.texts import Tokenizer
texts = [f"{number * 7919 & 1023} roads of {number}" for number in range(300)]
found = [Tokenizer.fit(texts, kind, 200).text for kind in ("characters", "bpe")]
"""


def test_another_process_learns_the_same() -> None:
    command = [sys.executable, "-c", FIT + "print(*found, sep='\\0', end='')"]
    theirs = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    ours: dict[str, list[str]] = {}
    exec(FIT, ours)

    assert theirs.split("\0") == ours["found"]


def test_a_missing_library_and_a_broken_tokenizer_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="expected a tokenizer as JSON, got 'nonsense'"):
        Tokenizer("nonsense")
    with pytest.raises(InputError, match="vocab_size of at least 3, got 2"):
        Tokenizer.fit(WORDS, "bpe", 2)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match="texts need the package tokenizers, which is not installed"):
        Tokenizer.fit(WORDS, "characters", 100)
