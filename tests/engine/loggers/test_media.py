from pathlib import Path
from typing import Any

import pytest
from my_project.callbacks.confusion_matrix import ConfusionMatrix
from my_project.callbacks.top_k_images import TopKImages
from my_project.engine.loggers.media import log_config, log_figure, log_images, log_summary, log_table
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.loggers.tensorboard import TensorBoardRunLogger
from my_project.plots import image_sheet
from PIL import Image
from pytorch_lightning.loggers import CSVLogger
from support import MakeFake, MakeNet, MakeTrainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # type: ignore[attr-defined]

PICTURE = Image.new("RGB", (20, 10), "red")


def test_a_run_folder_holds_figures_captions_and_tables(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    sheet = image_sheet([PICTURE], ["true cat\npredicted a “dog”"])
    log_images(logger, "val/worst", sheet, 7)
    log_figure(logger, "val/plot", PICTURE, 7)
    log_table(logger, "val/table", ["a", "b"], [[1, "x"], [2, None]], 7)

    with Image.open(tmp_path / "figures/val/plot/step-00000007.png") as image:
        assert image.getpixel((0, 0)) == (255, 0, 0)
    captions = tmp_path / "figures/val/worst/step-00000007.json"
    assert "“dog”" in captions.read_text()
    with Image.open(captions.with_suffix(".png")) as image:
        assert image.size == sheet.picture.size
    assert (tmp_path / "tables/val/table/step-00000007.csv").read_text().split() == ["a,b", "1,x", "2,"]


def test_a_resumed_run_forgets_the_pictures_it_will_make_again(tmp_path: Path) -> None:
    logger = RunFolderLogger(tmp_path)
    for step in (9, 19):
        log_images(logger, "val/worst", image_sheet([PICTURE], ["x"]), step)
        log_table(logger, "train/table", ["a"], [], step)
    log_figure(logger, "test/plot", PICTURE, 19)

    logger.forget_from(10)

    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("step-*"))
    assert left == [
        "figures/test/plot/step-00000019.png",
        "figures/val/worst/step-00000009.json",
        "figures/val/worst/step-00000009.png",
        "tables/train/table/step-00000009.csv",
    ]


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def test_tensorboard_has_scalars_pictures_with_captions_and_hparams(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    run, config = Path("run"), {"model": {"width": 4, "layers": [1, 2]}, "note": None}
    logger = TensorBoardRunLogger(save_dir=str(run))
    callbacks = [TopKImages(k=2), ConfusionMatrix()]
    loggers = [RunFolderLogger(run), logger]
    trainer = make_trainer(max_epochs=2, logger=loggers, callbacks=callbacks)
    trainer.fit(make_net(), make_fake())
    values = {key: float(value) for key, value in trainer.callback_metrics.items()}
    log_config(logger, config)
    log_summary(logger, config, values)

    found = events(run / "tensorboard")
    steps = [event.step for event in found.Scalars("val/accuracy")]
    for key in ("val/worst", "val/confusion_matrix"):
        shown = found.Images(key)
        assert [event.step for event in shown] == steps, "one step axis"
        path = run / "figures" / key / f"step-{steps[-1]:08d}.png"
        with Image.open(path) as ours:
            assert (shown[-1].width, shown[-1].height) == ours.size, "with the captions under the images"
    content = found.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    hparams = HParamsPluginData.FromString(content).session_start_info.hparams
    assert hparams["model.width"].number_value == 4
    assert hparams["model.layers"].string_value == "[1, 2]"
    assert found.Scalars("final/val/loss")[0].value == pytest.approx(values["val/loss"])


def test_a_logger_of_another_class_takes_no_pictures(tmp_path: Path) -> None:
    logger: Any = CSVLogger(tmp_path)
    log_figure(logger, "val/plot", PICTURE, 1)
    log_images(logger, "val/worst", image_sheet([PICTURE], ["x"]), 1)
    log_table(logger, "val/table", ["a"], [[1]], 1)
    log_summary(logger, {}, {"val/loss": 1.0})

    assert not list(tmp_path.rglob("*.png"))
