import json
import os
from pathlib import Path

import pytest
from my_project.engine.errors import InputError
from my_project.engine.runs.describe import write_description
from my_project.engine.runs.folder import find_checkpoint, find_run, reserve_run


def make_run(root: Path, name: str, age_s: int = 0) -> Path:
    run = root / name
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").touch()
    then = (run / "config.yaml").stat().st_mtime - age_s
    os.utime(run / "config.yaml", (then, then))
    return run


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    runs = [reserve_run(tmp_path, "digits") for _ in range(3)]

    assert len(set(runs)) == 3
    assert all(run.is_dir() and "-digits" in run.name for run in runs)


def test_a_job_gives_its_name_and_a_requeued_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    first, second = reserve_run(tmp_path, "x"), reserve_run(tmp_path, "x")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")

    assert [first.name, second.name] == ["77-x", "77-x-2"]
    assert reserve_run(tmp_path, "x") == first


def test_a_named_job_has_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DL_JOB_ID", "spot")
    first = reserve_run(tmp_path, "x")

    assert first.name == "spot-x"
    assert reserve_run(tmp_path, "x") == first


def test_other_ranks_make_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")

    assert not reserve_run(tmp_path, "x").exists()


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_refuses_a_name_that_is_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="choose another --name"):
        reserve_run(tmp_path, name)


def test_refuses_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match=r"set --trainer.default_root_dir"):
        reserve_run(tmp_path / "file", "x")


def test_a_run_is_found_by_latest_name_or_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "runs"
    old = make_run(root, "20260101-000000-first", age_s=100)
    new = make_run(root, "20260101-000001-second")

    assert find_run("latest", root) == new
    assert not caplog.records
    (old / "checkpoints" / "last.ckpt").touch()
    assert find_run("latest", root) == old
    assert caplog.messages == [f"{new} has no checkpoint: latest is {old}"]
    assert find_run("first", root) == old
    assert find_run(old.name, root) == old
    assert find_run(str(old), root / "elsewhere") == old
    assert find_run(str(old / "checkpoints" / "last.ckpt"), root) == old


def test_says_which_runs_there_are(tmp_path: Path) -> None:
    make_run(tmp_path, "20260101-000000-first")

    with pytest.raises(InputError, match="got 'nope'; runs there: 20260101-000000-first"):
        find_run("nope", tmp_path)
    with pytest.raises(InputError, match="got 'latest'; runs there: none"):
        find_run("latest", tmp_path / "empty")


def test_the_wanted_checkpoint_is_taken_or_the_other(tmp_path: Path) -> None:
    run = make_run(tmp_path, "run")
    with pytest.raises(InputError, match="the run ended before its first"):
        find_checkpoint(run)
    (run / "checkpoints" / "last.ckpt").touch()
    assert find_checkpoint(run, "best").name == "last.ckpt"
    (run / "checkpoints" / "best.ckpt").touch()
    assert find_checkpoint(run, "best").name == "best.ckpt"


def test_each_start_is_described(tmp_path: Path) -> None:
    write_description(tmp_path, stage="fit")
    write_description(tmp_path, stage="test")

    entries = json.loads((tmp_path / "run.json").read_text())
    assert [entry["stage"] for entry in entries] == ["fit", "test"]
    assert entries[0]["versions"]["torch"]
    assert set(entries[0]["git"]) == {"commit", "changes"}
