"""A run comes back in Python as it was, and the README's lines give its test's numbers again."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.data import BatchedData
from my_project.engine.errors import InputError
from my_project.model import load_model, load_run
from my_project.model.resnet import ResNet
from pytorch_lightning import Trainer
from support import CONFIG, PROJECT


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with a metric of its own, tested."""
    config = {**CONFIG, "seed_everything": 7, "test_after_fit": True, "trainer": {**CONFIG["trainer"]}}
    config["trainer"]["callbacks"] = [{"class_path": "ConfusionMatrix"}]
    model = {**CONFIG["model"], "init_args": {**CONFIG["model"]["init_args"], "metrics": {"f1": "F1Score"}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "model": model}))
    assert main(["fit", "--config=config.yaml", "--name=one"]) == 0
    (folder,) = tmp_path.glob("runs/*-one")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_lines_of_the_readme_give_the_numbers_of_the_test_again(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    before, names = files_of(run), dict[str, Any]()

    exec(lines, names)

    history = names["run"].history
    logged = {key: history[key].dropna().iloc[-1] for key in history if key.startswith("test/")}
    assert {"test/f1", "test/loss"} <= logged.keys()
    assert names["result"] == pytest.approx(logged, abs=1e-6)
    assert "test/f1" in capsys.readouterr().out
    assert files_of(run) == before


def test_a_run_has_its_folder_config_model_and_data(run: Path) -> None:
    loaded = load_run(run)

    assert loaded.folder == run
    assert loaded.config["seed_everything"] == 7
    assert isinstance(loaded.model, ResNet)
    assert not loaded.model.training
    weights = load_model(loaded.checkpoint).state_dict()
    assert weights
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_the_data_is_split_by_the_seed_of_its_run_whatever_is_seeded_later(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, other = load_run("one").data, load_run("latest").data
    monkeypatch.setenv("PL_GLOBAL_SEED", "8")
    for each in (data, other):
        each.setup("fit")
    assert isinstance(data, BatchedData)
    assert data.seed == 7
    assert data.fingerprint() == other.fingerprint()
    recorded = yaml.safe_load((run / "run.json").read_text())[0]["facts"]
    assert data.fingerprint().items() <= recorded.items()


def test_the_last_checkpoint_is_taken_if_it_is_asked_for(run: Path) -> None:
    assert load_run(run, weights="last").checkpoint.name == "last.ckpt"
    assert load_run(run).checkpoint.name == "best.ckpt"


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a run in runs, got 'latest'; runs there: none"):
        load_run()


def test_a_trainer_of_ones_own_goes_on_with_its_weights(run: Path) -> None:
    loaded = load_run(run)
    trainer = Trainer(max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False)

    trainer.fit(loaded.model.train(), loaded.data)

    assert trainer.global_step == 1
