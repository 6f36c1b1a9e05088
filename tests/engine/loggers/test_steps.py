from pathlib import Path

from my_project.engine.loggers.run_folder import RunFolderLogger


def test_a_test_of_a_checkpoint_is_logged_at_its_step(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    logger.first_step = 40
    logger.log_metrics({"test/loss": 0.5}, step=0)

    assert logger.path.read_text().splitlines() == ["step,test/loss", "40,0.5"]
