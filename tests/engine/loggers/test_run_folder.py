import csv
from pathlib import Path

import pytest
from my_project.engine.loggers.run_folder import RunFolderLogger


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_new_metric_adds_a_column_and_keeps_what_is_there(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path / "run")
    logger.log_metrics({"a": 1.0}, step=1)
    logger.log_metrics({"b": 0.1234567891, "a": 2.5}, step=2)

    assert rows(tmp_path / "run") == [
        {"step": "1", "a": "1", "b": ""},
        {"step": "2", "a": "2.5", "b": "0.1234568"},
    ]


def test_a_second_logger_appends(tmp_path: Path) -> None:
    RunFolderLogger(tmp_path).log_metrics({"a": 1.0}, step=1)
    RunFolderLogger(tmp_path).log_metrics({"a": 2.0}, step=2)

    assert [row["a"] for row in rows(tmp_path)] == ["1", "2"]


def test_a_resumed_run_forgets_what_it_will_log_again(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    for step in range(4):
        logger.log_metrics({"train/loss": step}, step=step)
    logger.log_metrics({"test/accuracy": 0.5}, step=4)

    logger.forget_from(2)
    logger.log_metrics({"train/loss": 9}, step=2)

    assert [(row["step"], row["train/loss"]) for row in rows(tmp_path)] == [
        ("0", "0"),
        ("1", "1"),
        ("4", ""),
        ("2", "9"),
    ]


@pytest.mark.parametrize(
    ("value", "expected"), [(float("nan"), "nan"), (float("inf"), "inf"), (1e-12, "1e-12")]
)
def test_every_number_can_be_read_back(tmp_path: Path, value: float, expected: str) -> None:
    RunFolderLogger(tmp_path).log_metrics({"a": value}, step=0)

    assert rows(tmp_path)[0]["a"] == expected


def test_nothing_is_written_before_the_first_row(tmp_path: Path) -> None:
    RunFolderLogger(tmp_path / "run").log_hyperparams({"lr": 1})

    assert not (tmp_path / "run").exists()
