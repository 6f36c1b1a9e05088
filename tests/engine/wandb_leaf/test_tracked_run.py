"""The command line with every logger: what it logged is read back from each."""

import json
from pathlib import Path

import pytest
import yaml
from my_project.__main__ import main as run
from wandb_loopback import Loopback

CONFIG = {
    "seed_everything": 1,
    "test_after_fit": True,
    "model": {"class_path": "ResNet", "init_args": {"width": 4, "depths": [0, 1]}},
    "data": {"class_path": "Fake", "init_args": {"num_train": 60, "num_test": 20, "batch_size": 16}},
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 2,
        "log_every_n_steps": 2,
        "callbacks": [
            {"class_path": "TopKImages", "init_args": {"k": 2}},
            {"class_path": "ConfusionMatrix"},
            {"class_path": "ErrorVsEntropy"},
            {"class_path": "Predictions"},
        ],
        "logger": [{"class_path": "WandbRunLogger"}],
    },
}


@pytest.mark.usefixtures("server")
def test_numbers_pictures_tables_and_config_arrive_and_a_resumed_run_goes_on(server: Loopback) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    assert run(["fit", "--config=config.yaml", "--name=tracked"]) == 0
    (folder,) = Path("runs").iterdir()
    run_id = server.run.run_id
    assert run(["test", "--run=tracked"]) == 0

    tracked = server.run
    assert tracked.run_id == run_id
    assert len(server.runs) == 1
    assert tracked.attributes["displayName"] == folder.name
    assert tracked.config["model"]["init_args"]["width"] == 4
    assert "commit" in tracked.config["git"]
    for key in ("val/worst", "val/best", "test/worst"):
        path = sorted((folder / "figures" / key).glob("*.json"))[-1]
        captions = [image["caption"] for image in json.loads(path.read_text())["images"]]
        assert tracked.values(key)[-1]["captions"] == captions
    assert len(tracked.values("val/confusion_matrix")) == 2
    table = json.loads(tracked.files[tracked.values("val/predictions")[-1]["path"]])
    assert table["columns"] == [
        *("index", "true", "class", "probability", "entropy"),
        *(f"pattern {number}" for number in range(4)),
    ]
    assert len(table["data"]) == 6
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert len(tracked.values("val/loss")) == 2
    assert len(tracked.values("test/loss")) == 2, "that of the fit, and that of the later test"
    assert tracked.summary["best/val/loss"] == pytest.approx(min(tracked.values("val/loss")))
    assert len(rows) > 4
    assert tracked.exit_code == 0
