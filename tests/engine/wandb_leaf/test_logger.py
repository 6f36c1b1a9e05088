import json
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.wandb.logger import WandbRunLogger
from my_project.engine.wandb.server import sync
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only
from support import MakeFake, MakeNet, MakeTrainer
from wandb_loopback import KEY, Loopback, RecordedRun
from wandb_records import parts_of, rows_in

PACKAGE = WandbRunLogger.__module__.partition(".")[0]
NOISE = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
IMAGES = [Image.fromarray(array) for array in NOISE]
CAPTIONS = ["cat, not dog", "dog, not cat", "µ > 1"]
CONFIG = {"model": {"class_path": "ResNet", "init_args": {"width": 4}}, "seed_everything": 3}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """What was said to the user: a function that gives pairs of level and text."""
    caplog.set_level(logging.INFO)
    return lambda: [
        (record.levelname, record.message)
        for record in caplog.records
        if "Weights & Biases" in record.message
    ]


def log_all(logger: WandbRunLogger) -> None:
    """One of each kind, at step 7."""
    logger.log_hyperparams(CONFIG)
    logger.log_metrics({"val/loss": 0.25}, step=7)
    logger.log_image("val/worst", images=IMAGES, caption=CAPTIONS, step=7)
    logger.log_image("val/confusion", images=[matplotlib.figure.Figure(figsize=(1, 1))], step=7)
    logger.log_table("val/classes", columns=["class", "f1"], data=[["cat", 0.5], ["dog", 0.75]], step=7)
    logger.log_summary({"best/accuracy": 0.875})


def check_all(run: RecordedRun) -> None:
    """That all of it arrived, bytes included."""
    assert {key: run.config[key] for key in CONFIG} == CONFIG
    assert run.values("val/loss") == [0.25]
    assert {row["trainer/global_step"] for row in run.history} == {7}
    (worst,) = run.values("val/worst")
    assert worst["captions"] == CAPTIONS
    for name, array in zip(worst["filenames"], NOISE, strict=True):
        Path("got.png").write_bytes(run.files[name])
        np.testing.assert_array_equal(np.asarray(Image.open("got.png").convert("RGB")), array)
    (confusion,) = run.values("val/confusion")
    assert run.files[confusion["filenames"][0]].startswith(b"\x89PNG")
    (table,) = run.values("val/classes")
    assert json.loads(run.files[table["path"]])["data"] == [["cat", 0.5], ["dog", 0.75]]
    assert run.summary["best/accuracy"] == 0.875
    assert run.exit_code == 0


def test_a_training_arrives_whole_on_the_server(
    server: Loopback, make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, lines: Any
) -> None:
    before = dict(os.environ)
    logger = WandbRunLogger(save_dir="runs/first", tags=["small"], group="all")
    trainer = make_trainer(logger=[RunFolderLogger(Path("runs/first")), logger])
    trainer.fit(make_net(), make_fake())
    print("said by the training")
    trainer.test(make_net(), make_fake(), verbose=False)
    assert server.run.exit_code is None, "a test may follow a fit"
    logger.finish()

    csv = (Path("runs/first") / "metrics.csv").read_text().splitlines()
    losses = [line.split(",")[csv[0].split(",").index("train/loss_step")] for line in csv[1:]]
    run = server.run
    assert run.values("train/loss_step") == pytest.approx([float(loss) for loss in losses if loss], rel=1e-6)
    assert len(run.values("train/loss_step")) == trainer.global_step
    assert len(run.values("test/loss")) == 1
    assert "said by the training" in run.console
    assert run.exit_code == 0
    assert (run.project, run.attributes["displayName"]) == (PACKAGE, "first")
    assert (run.attributes["tags"], run.attributes["groupName"]) == (["small"], "all")
    assert lines() == [("INFO", f"Weights & Biases: online, {server.url}/ada/{PACKAGE}/runs/{run.run_id}")]
    assert dict(os.environ) == before


def test_everything_that_can_be_logged_arrives_on_the_server(
    server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = WandbRunLogger(save_dir="runs/all", project="photos", name="a name")
    log_all(logger)
    logger.finish()

    check_all(server.run)
    assert (server.run.project, server.run.attributes["displayName"]) == ("photos", "a name")
    assert [artifact.is_committed for artifact in server.artifacts] == [True]
    assert capfd.readouterr() == ("", "")
    kept = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    assert not [path for path in Path("home").rglob("*") if "wandb" in path.name]
    requests = list(server.requests)
    assert sync(Path("runs"))
    assert server.requests == requests, "what was uploaded is not uploaded again"


def test_a_run_without_a_configured_server_is_offline_and_arrives_whole_later(
    monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    logger = WandbRunLogger(save_dir="runs/later")
    log_all(logger)
    logger.finish()

    (part,) = parts_of(Path("runs/later"))
    assert part.name.startswith("offline-run-")
    rows = rows_in(part)
    assert len(rows) == 4
    assert [row["val/worst.captions"] for row in rows if "val/worst.captions" in row] == [CAPTIONS]
    (line,) = lines()
    assert line[0] == "INFO"
    assert "offline, because no server is configured" in line[1]
    assert line[1].endswith("upload later: make wandb-sync")
    with Loopback() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        assert sync(Path("runs"))
        check_all(server.run)
        assert server.run.project == PACKAGE
        assert not server.unknown


def test_a_resumed_run_keeps_its_id_and_a_new_one_has_its_own(server: Loopback) -> None:
    for save_dir, steps in (("runs/a", range(3)), ("runs/a", range(3, 5)), ("runs/b", range(2))):
        logger = WandbRunLogger(save_dir=save_dir)
        for step in steps:
            logger.log_metrics({"train/loss": step / 2}, step=step)
        logger.finish()

    first, second = server.runs.values()
    assert first.values("train/loss") == [0, 0.5, 1, 1.5, 2]
    assert first.values("trainer/global_step") == [0, 1, 2, 3, 4]
    assert [row["_step"] for row in first.history] == [0, 1, 2, 3, 4]
    assert second.values("train/loss") == [0, 0.5]


def test_a_copy_in_another_process_logs_to_the_same_run(server: Loopback) -> None:
    logger = WandbRunLogger(save_dir="run")
    logger.log_metrics({"train/loss": 1.0}, step=0)
    copied = pickle.loads(pickle.dumps(logger))
    logger.finish()
    copied.log_metrics({"train/loss": 0.5}, step=1)
    copied.finish()

    assert server.run.values("train/loss") == [1.0, 0.5]


def test_mode_offline_asks_no_server(server: Loopback, lines: Any) -> None:
    logger = WandbRunLogger(save_dir="run", mode="offline")
    logger.first_step = 100
    logger.log_metrics({"test/loss": 1.0}, step=2)
    logger.finish()

    assert server.requests == []
    (part,) = parts_of(Path("run"))
    assert [row["trainer/global_step"] for row in rows_in(part)] == [102]
    assert [level for level, _ in lines()] == ["INFO"]


def test_what_cannot_be_logged_is_said_once_and_dropped(lines: Any) -> None:
    logger = WandbRunLogger(save_dir="run", mode="offline")
    for step in range(3):
        logger.log_image("val/worst", images=IMAGES, caption=["one"], step=step)
        logger.log_metrics({"train/loss": 1.0}, step=step)
    logger.finish()

    assert lines()[1:] == [("WARNING", "Weights & Biases: Expected 3 items but only found 1 for caption")]
    (part,) = parts_of(Path("run"))
    assert len(rows_in(part)) == 3


def test_watched_gradients_are_logged(server: Loopback) -> None:
    model = torch.nn.Linear(2, 1)
    logger = WandbRunLogger(save_dir="run")
    logger.watch(model, log_freq=1)
    model(torch.ones(1, 2)).sum().backward()
    logger.log_metrics({"train/loss": 1.0}, step=0)
    logger.finish()

    assert server.run.history[0]["gradients/weight"]["_type"] == "histogram"


@pytest.mark.usefixtures("server")
def test_nothing_happens_on_other_ranks_in_a_dry_run_or_when_disabled(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trainer(logger=WandbRunLogger("run"), fast_dev_run=True).fit(make_net(), make_fake())
    assert not Path("run").exists()
    with monkeypatch.context() as patch:
        patch.setattr(rank_zero_only, "rank", 1)
        log_all(WandbRunLogger("run"))
        assert not Path("run").exists()
    monkeypatch.setenv("WANDB_MODE", "disabled")
    log_all(WandbRunLogger("run"))
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "127.0.0.1:8080"}, "got '127.0.0.1:8080'"),
        ({"base_url": "http://ada:secret@127.0.0.1"}, r"got 'http://\.\.\.@127.0.0.1'"),
        ({"mode": "online"}, "expected mode auto or offline, got 'online'"),
    ],
)
def test_refuses_what_has_no_use(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WandbRunLogger("run", **options)
