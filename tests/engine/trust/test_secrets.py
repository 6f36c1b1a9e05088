"""Keys and tokens that a run is given are found nowhere in its folder."""

import os
import subprocess
import sys
from pathlib import Path

import my_project as package
import pytest
import yaml
from my_project.__main__ import main as run
from my_project.engine.trust.masking import mask_text
from support import CONFIG

ENVIRONMENT = {"WANDB_API_KEY": "a" * 20 + "5ec7e7" + "b" * 14, "HF_TOKEN": "hf_5ec7e7environment"}
ON_THE_LINE = "5ec7e7-on-the-line"
IN_THE_CONFIG = "5ec7e7-in-the-config"
IN_AN_ADDRESS = "5ec7e7-in-an-address"
MARK = b"5ec7e7"
LOGGER = """
from pytorch_lightning.loggers.logger import DummyLogger

class Tracker(DummyLogger):
    def __init__(self, api_key: str, url: str = "", hf_token: str | None = None) -> None:
        super().__init__()
        assert "5ec7e7" in api_key
"""
OPTIONS = [
    "fit",
    "--config=config.yaml",
    f"--trainer.logger.init_args.hf_token={ON_THE_LINE}",
    "--name=secret",
]


@pytest.fixture
def config() -> None:
    """A config with a tracker of the user's own, which wants keys."""
    Path("own.py").write_text(LOGGER)
    tracker = {"api_key": IN_THE_CONFIG, "url": f"https://me:{IN_AN_ADDRESS}@example.org"}
    loggers = [{"class_path": "WandbRunLogger"}, {"class_path": "own.Tracker", "init_args": tracker}]
    content = {**CONFIG, "trainer": {**CONFIG["trainer"], "logger": loggers}, "test_after_fit": True}
    Path("config.yaml").write_text(yaml.safe_dump(content))


def command(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", package.__name__, *args],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | ENVIRONMENT,
    )


@pytest.mark.faults
@pytest.mark.usefixtures("config")
def test_no_file_of_a_run_holds_a_secret() -> None:
    done = command(*OPTIONS)
    assert done.returncode == 0, done.stderr
    assert command("report", "latest", "--no_open").returncode == 0
    assert "5ec7e7" not in done.stdout + done.stderr
    (folder,) = Path("runs").iterdir()
    files = [path for path in folder.rglob("*") if path.is_file()]

    assert {".wandb", ".json", ".html", ".yaml", ".ckpt", ".txt"} <= {path.suffix for path in files}
    assert [str(path) for path in files if MARK in path.read_bytes()] == []
    written = yaml.safe_load((folder / "config.yaml").read_text())["trainer"]["logger"][1]["init_args"]
    assert written == {"api_key": "***", "hf_token": "***", "url": "https://***@example.org"}


@pytest.mark.faults
@pytest.mark.usefixtures("config")
def test_a_run_that_is_resumed_wants_its_secrets_again() -> None:
    command(*OPTIONS)

    refused = command("fit", "--resume=latest")
    assert refused.returncode == 2
    assert "logger.1.init_args.api_key, got ***" in refused.stderr
    again = command("fit", "--resume=latest", *OPTIONS[1:3])
    assert again.returncode == 0, again.stderr


def test_a_text_holds_neither_the_secrets_of_a_config_nor_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_5ec7e7")
    config = {"logger": [{"api_key": "5ec7e7-key"}, {"password": "abc"}], "tokens": "5ec7e7 words"}

    text = mask_text("refused 5ec7e7-key and hf_5ec7e7 at https://me:pw@host; abc, 5ec7e7 words", config)

    assert text == "refused *** and *** at https://***@host; abc, 5ec7e7 words"


def test_a_config_without_secrets_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    assert run(["fit", "--config=config.yaml"]) == 0
    (folder,) = Path("runs").iterdir()
    with pytest.raises(SystemExit):
        run(["fit", "--config=config.yaml", "--print_config"])

    assert yaml.safe_load((folder / "config.yaml").read_text()) == yaml.safe_load(capsys.readouterr().out)
