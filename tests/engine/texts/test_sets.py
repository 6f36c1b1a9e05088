import torch
from my_project.engine.texts import PairSet, TextSet, pad
from my_project.engine.texts.tokens import Tokens
from my_project.structs import TextExample

WRITTEN = [[4], [2, 3, 2], [], [6, 6], [5]]
TEXTS = [[5, 6], [], [7], [2, 3, 4, 5, 6, 7, 8], [9, 9, 9]]


def tokens_of(texts: list[list[int]]) -> Tokens:
    ids = torch.tensor([token for text in texts for token in text], dtype=torch.int16)
    return Tokens(ids, torch.tensor([0, *torch.tensor([len(text) for text in texts]).cumsum(0).tolist()]))


def make(texts: list[list[int]] = TEXTS) -> TextSet:
    return TextSet(tokens_of(texts), torch.arange(len(texts)) % 2, TextExample)


def make_pairs(written: list[list[int]] = WRITTEN) -> PairSet:
    return PairSet(tokens_of(TEXTS), tokens_of(written), TextExample)


def test_a_batch_is_as_long_as_its_longest_text() -> None:
    batch = make()[[4, 1, 0]]

    assert isinstance(batch, TextExample)
    assert batch.input_ids.tolist() == [[9, 9, 9], [0, 0, 0], [5, 6, 0]]
    assert batch.attention_mask.tolist() == [[True] * 3, [False] * 3, [True, True, False]]
    assert batch.input_ids.dtype == torch.int64
    assert batch.target is not None
    assert batch.target.tolist() == [0, 1, 0]
    assert batch.index is not None
    assert batch.index.tolist() == [4, 1, 0]


def test_every_text_comes_back_as_it_was_also_the_last() -> None:
    texts = make()
    for row, expected in enumerate(TEXTS):
        batch = texts[[row]]
        assert batch.input_ids[batch.attention_mask].tolist() == expected


def test_texts_without_tokens_make_a_batch_of_length_one() -> None:
    for texts in (TEXTS, [[], []]):
        batch = make(texts)[[1, 1]]
        assert batch.attention_mask.tolist() == [[False], [False]]
        assert batch.input_ids.tolist() == [[0], [0]]


def test_a_subset_knows_its_own_lengths_and_memory() -> None:
    subset = make().subset(torch.tensor([3, 0]))

    assert subset.lengths.tolist() == [7, 2]
    assert subset.nbytes == 2 * 8 + 9 * 2 + 2 * 8  # targets, tokens, offsets
    moved = subset.to(torch.device("cpu"))
    assert moved[[1, 0]].input_ids.tolist() == subset[[1, 0]].input_ids.tolist()
    assert moved[[1]].index.tolist() == [0]


def test_a_fingerprint_follows_tokens_and_rows() -> None:
    changed = make([[5, 6], [], [7], [2, 3, 4, 5, 6, 7, 8], [9, 9, 1]])
    prints = {make().fingerprint(), changed.fingerprint(), make().subset(torch.tensor([1, 0])).fingerprint()}

    assert len(prints) == 3
    assert make().fingerprint() == make().fingerprint()


def test_padding_needs_no_rows() -> None:
    input_ids, mask = pad(make().tokens, torch.tensor([], dtype=torch.int64))

    assert input_ids.shape == mask.shape == (0, 1)


def test_a_target_that_is_a_text_ends_with_0_and_is_filled_up_with_what_is_ignored() -> None:
    pairs = make_pairs()
    batch = pairs[[4, 1, 2]]

    assert batch.target.tolist() == [[5, 0, -100, -100], [2, 3, 2, 0], [0, -100, -100, -100]]
    assert batch.input_ids.tolist() == [[9, 9, 9], [0, 0, 0], [7, 0, 0]]
    assert batch.index.tolist() == [4, 1, 2]
    assert pairs[[0]].target.tolist() == [[4, 0]]
    assert pairs.targets is None
    assert pairs.subset(torch.tensor([1, 3])).to(torch.device("cpu"))[[1]].target.tolist() == [[6, 6, 0]]
    assert pairs.nbytes == 5 * 8 + 13 * 2 + 5 * 8 + 7 * 2 + 5 * 8  # index, tokens, offsets, both


def test_a_fingerprint_follows_the_targets() -> None:
    assert make_pairs().fingerprint() == make_pairs().fingerprint()
    assert make_pairs([*WRITTEN[:4], [4]]).fingerprint() != make_pairs().fingerprint()
