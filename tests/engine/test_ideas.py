"""Four ideas by the real command line: what each costs, reaches, shows, and survives.

Their files lie in ``tests/ideas``: those that a user adds to a project, and the same in plain Lightning.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ideas import IDEAS, Idea, begin, draw_samples, environment, fit_command, mean_pixel, num_lines, read_rows
from my_project.__main__ import main
from my_project.model import load_model
from PIL import Image
from processes import assert_equal_runs, only_run
from task_runs import KILLER


@pytest.fixture(scope="module", params=IDEAS, ids=[idea.name for idea in IDEAS])
def idea(request: pytest.FixtureRequest) -> Idea:
    return request.param


@pytest.fixture(scope="module")
def trained(idea: Idea, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the idea was trained, as the run ``whole``: once for all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / idea.name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "runs").exists():
            begin(idea, folder)
            (folder / "killer.py").write_text(KILLER)
            run_here(fit_command(idea, "whole"), folder)
    return folder


@pytest.fixture
def whole(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained run; the test goes on in its project's folder."""
    monkeypatch.chdir(trained)
    monkeypatch.syspath_prepend(str(trained))
    return only_run("whole").resolve()


def run_here(command: list[str], folder: Path, returncode: int = 0) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == returncode, done.stdout
    return done.stdout


def test_it_takes_few_lines_and_fewer_than_plain_lightning(idea: Idea) -> None:
    lines = num_lines(*idea.files)

    assert len(idea.files) <= 3
    assert lines <= 60
    assert lines <= num_lines(idea.plain)


def test_it_reaches_what_it_must(idea: Idea, whole: Path) -> None:
    if idea.key:
        assert float(read_rows(whole)[-1][idea.key]) >= idea.least
        return
    # A GAN is judged by its samples.
    samples = draw_samples(whole / "checkpoints/best.ckpt")
    assert abs(float(samples.mean()) - mean_pixel()) < 0.1
    assert float(samples.std(dim=0).mean()) > 0.1, "they are all alike"


def test_its_page_has_curves_and_pictures_with_captions(idea: Idea, whole: Path) -> None:
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>',
        (whole / "report.html").read_text(),
        re.DOTALL,
    )
    page: dict[str, Any] = json.loads(text)
    (run,) = page["runs"]
    steps, values = run["curves"]["val/loss"]
    assert len(steps) == len(values) == run["epoch"] == int(run["max_epochs"])
    assert steps[0] == idea.steps - 1
    assert idea.key in {"", *run["curves"]}

    shown = {row["key"]: row["runs"][0][-1] for split in page["pictures"] for row in split["rows"]}
    by = "by_loss/" if idea.name == "autoencoder" else ""
    assert {f"{split}/{by}{end}" for split in ("val", "test") for end in ("best", "worst")} <= set(shown)
    captions = [image["caption"] for image in shown[f"test/{by}worst"]["images"]]
    assert len(captions) == 8
    for caption in captions:
        assert re.match(idea.caption, caption), caption


def test_it_predicts_or_says_in_one_line_why_not(
    idea: Idea, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = (whole / "log.txt").read_text()
    Path("examples").mkdir(exist_ok=True)
    save_image(Path("examples/one.png"))

    code = main(["predict", str(whole), "examples", "--output=out.csv"])

    assert code == 2
    assert capsys.readouterr().err == f"error: {idea.predicts}\n"
    assert not Path("out.csv").exists()
    assert "my_project predict" not in said, "it is not advised either"


def save_image(path: Path) -> None:
    Image.new("L", (8, 8), 128).save(path)


def test_its_checkpoint_is_a_model_without_data_or_metrics(
    idea: Idea, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(idea.files[0], tmp_path)  # beside no data and no config
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    model = load_model(whole / "checkpoints/best.ckpt")

    saved = torch.load(whole / "checkpoints/best.ckpt", weights_only=True)
    assert {name: value.shape for name, value in model.state_dict().items()} == {
        name: value.shape for name, value in saved["state_dict"].items()
    }
    assert not model.training
    assert type(model).__module__ == saved["model_class"].rpartition(".")[0]


def test_killed_inside_an_epoch_it_ends_as_the_undisturbed_run(idea: Idea, whole: Path) -> None:
    step = idea.steps + idea.steps // 2 + 3
    kill = "--trainer.callbacks+=killer.KillAt", f"--trainer.callbacks.step={step}"
    run_here(fit_command(idea, "killed", *kill), Path(), returncode=-9)
    killed = only_run("killed")
    saved = torch.load(killed / "checkpoints/last.ckpt", weights_only=True)["step"]
    assert idea.steps < saved < step, "it goes on inside an epoch"
    assert read_rows(killed) != read_rows(whole)

    assert main(["fit", "--resume=killed"]) == 0

    assert read_rows(killed) == read_rows(whole)
    weights = [torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (killed, whole)]
    torch.testing.assert_close(weights[0]["state_dict"], weights[1]["state_dict"], rtol=0, atol=0)
    pictures = [
        {path.relative_to(run): path.read_bytes() for path in (run / "figures").rglob("step-*")}
        for run in (killed.resolve(), whole)
    ]
    assert pictures[0] == pictures[1]


def test_texts_of_other_lengths_in_each_batch_go_on_exactly_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tagging,) = [idea for idea in IDEAS if idea.name == "tagging"]
    begin(tagging, tmp_path)
    Path("killer.py").write_text(KILLER)
    monkeypatch.syspath_prepend(".")
    shown = ["--trainer.callbacks+=TopKImages", "--trainer.callbacks.every_n_train_steps=4"]
    options = ["--trainer.max_epochs=3", "--trainer.log_every_n_steps=4", *shown]
    options += ["--trainer.callbacks.by=entropy", "--trainer.callbacks.k=3"]
    stop = ["--trainer.callbacks+=killer.StopAt", "--trainer.callbacks.step=16"]
    assert main([*fit_command(tagging, "whole")[3:], *options]) == 0

    with pytest.raises(SystemExit) as stopped:
        main([*fit_command(tagging, "stopped")[3:], *options, *stop])
    assert stopped.value.code == 0
    assert main(["fit", "--resume=stopped"]) == 0

    assert_equal_runs(only_run("whole"), only_run("stopped"))


def test_plain_lightning_trains_it_too(idea: Idea, trained: Path) -> None:
    said = run_here([sys.executable, "plain.py"], trained)

    assert "test/" in said
    assert list(trained.glob("lightning_logs/version_0/checkpoints/*.ckpt"))
