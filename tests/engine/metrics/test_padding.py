import pytest
from my_project.engine.metrics.padding import num_unrepeated
from torch.utils.data import DataLoader, DistributedSampler


@pytest.mark.parametrize("size", [10, 11, 12, 13])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_all_processes_together_keep_each_example_once(size: int, batch_size: int) -> None:
    kept = []
    for rank in range(3):
        sampler = DistributedSampler(range(size), num_replicas=3, rank=rank, shuffle=False)  # type: ignore[arg-type]
        loader = DataLoader(range(size), batch_size=batch_size, sampler=sampler)  # type: ignore[arg-type]
        for batch_idx, batch in enumerate(loader):
            kept += batch[: num_unrepeated(loader, batch_idx, len(batch))].tolist()

    assert sorted(kept) == list(range(size))


def test_a_loader_without_ranks_is_kept_whole() -> None:
    assert num_unrepeated(DataLoader(range(5), batch_size=2), 2, 1) == 1  # type: ignore[arg-type]
    assert num_unrepeated(None, 0, 7) == 7
