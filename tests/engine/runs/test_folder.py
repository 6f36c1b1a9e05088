from pathlib import Path

import pytest
from my_project.engine.runs.files import replacing
from my_project.engine.runs.folder import discard_run, reserve_run


@pytest.mark.parametrize("kept", ["metrics.csv", "checkpoints/last.ckpt"])
def test_a_run_that_left_something_is_kept(tmp_path: Path, kept: str) -> None:
    run = reserve_run(tmp_path, "some")
    (run / "config.yaml").touch()
    (run / kept).parent.mkdir(exist_ok=True)
    (run / kept).touch()
    discard_run(run, only_if_empty=False)

    assert (run / kept).is_file()


def test_a_run_that_came_to_nothing_is_removed(tmp_path: Path) -> None:
    run = reserve_run(tmp_path, "none")
    (run / "config.yaml").touch()
    discard_run(run, only_if_empty=True)
    assert run.is_dir()

    discard_run(run, only_if_empty=False)
    assert not run.exists()


def test_the_tasks_of_an_array_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    for task in ("1", "2"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        reserve_run(tmp_path, "some")

    assert {path.name for path in tmp_path.iterdir()} == {"70_1-some", "70_2-some"}


def test_who_reads_a_file_that_is_replaced_goes_on_with_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old, and long")
    with path.open() as reader:
        with replacing(path) as partial:
            partial.write_text("new")
            assert path.read_text() == "old, and long"
        assert reader.read() == "old, and long"

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
