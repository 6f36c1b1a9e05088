from pathlib import Path

from my_project.engine.loggers import StageOfRun, TensorBoardRunLogger, log_figure
from my_project.engine.loggers.run_folder import RunFolderLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_a_test_of_a_checkpoint_is_logged_at_its_step(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    logger.first_step = 40
    logger.log_metrics({"test/loss": 0.5}, step=0)

    assert logger.path.read_text().splitlines() == ["step,test/loss", "40,0.5"]


def test_rows_of_a_stage_bear_its_number_and_go_on_counting(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    logger.first_step, logger.stage = 40, StageOfRun(2, "head")
    logger.log_metrics({"val/loss": 0.5}, step=3)
    logger.save_figure("val/worst", Image.new("RGB", (2, 2)), 3)

    assert logger.path.read_text().splitlines() == ["step,stage,val/loss", "43,2,0.5"]
    assert (tmp_path / "figures/val/worst/step-00000043.png").is_file()


def test_so_do_those_of_tensorboard(tmp_path: Path) -> None:
    logger = TensorBoardRunLogger(str(tmp_path))
    logger.first_step = 40
    logger.log_metrics({"val/loss": 0.5}, step=3)
    log_figure(logger, "val/worst", Image.new("RGB", (2, 2)), 3)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()

    assert [event.step for event in events.Scalars("val/loss")] == [43]
    assert [event.step for event in events.Images("val/worst")] == [43]
