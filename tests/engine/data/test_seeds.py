import pytest
from support import MakeFake


def order(make_fake: MakeFake, **options: int) -> list[list[int]]:
    data = make_fake(**options)
    data.setup("fit")
    return [batch.index.tolist() for batch in data.train_dataloader()]


def held_out(make_fake: MakeFake, **options: int) -> list[int]:
    data = make_fake(**options)
    data.setup("fit")
    (loader,) = data.val_dataloader()
    return [row for batch in loader for row in batch.index.tolist()]


def test_a_seed_decides_order_and_split(make_fake: MakeFake) -> None:
    assert order(make_fake, seed=7) == order(make_fake, seed=7) != order(make_fake, seed=8)
    assert held_out(make_fake, seed=7) == held_out(make_fake, seed=7) != held_out(make_fake, seed=8)


def test_without_a_seed_it_is_that_of_the_run(make_fake: MakeFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")

    assert order(make_fake, seed=None) == order(make_fake, seed=7)
    assert held_out(make_fake, seed=None) == held_out(make_fake, seed=7)
