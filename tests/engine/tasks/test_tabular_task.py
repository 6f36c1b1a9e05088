"""The tabular task by the real command line: demos, a search, a kill, two processes, export, prediction."""

import json
from pathlib import Path
from typing import Any

import my_project as package
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.model import load_model
from PIL import Image
from support import axes_of
from task_runs import KILLER, fit_config, numbers_of, rows_of

CONFIGS = Path(package.__file__).parents[1] / "configs"
CONFIG = CONFIGS / "diabetes.yaml"
if not CONFIG.is_file():
    pytest.skip("the project has no tabular task", allow_module_level=True)

from my_project.data.table import Table, TableExample  # noqa: E402 # only there with the task

SHORT = ["--trainer.max_epochs=3", "--trainer.accelerator=cpu", "--trainer.logger=false"]


def fit(name: str, *options: str, code: int = 0) -> Path:
    return fit_config(CONFIG, name, *options, code=code)


def ridge_r2(penalty: float = 10.0) -> float:
    """R2 on the demo's test part of a linear model in closed form, trained on what the demo is trained on."""
    options = yaml.safe_load(CONFIG.read_text())["data"]["init_args"]
    data = Table(**options, seed=42)
    table = pd.read_csv(Path(package.__file__).with_name("data") / "diabetes.csv")
    data.setup("fit")
    data.setup("test")
    train, test = data.train_set.rows.numpy(), data._sets["test"].rows.numpy()
    assert not set(train) & set(test)
    x, y = table.drop(columns="progression").to_numpy(float), table["progression"].to_numpy(float)
    x = (x - x[train].mean(0)) / x[train].std(0)
    centred = y[train] - y[train].mean()
    weights = np.linalg.solve(x[train].T @ x[train] + penalty * np.eye(x.shape[1]), x[train].T @ centred)
    left = y[test] - y[train].mean() - x[test] @ weights
    return float(1 - np.square(left).sum() / np.square(y[test] - y[test].mean()).sum())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's run, in a folder of its own."""
    folder = tmp_path_factory.mktemp("tabular")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return fit("demo", "--trainer.accelerator=cpu").resolve()


def test_the_demo_of_numbers_explains_what_a_linear_model_does(trained: Path) -> None:
    r2 = numbers_of(trained)[-1]["test/r2"]

    assert r2 >= 0.45
    assert r2 > ridge_r2() - 0.02


def test_the_logged_numbers_are_those_of_the_file_in_its_units(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Table(**yaml.safe_load(CONFIG.read_text())["data"]["init_args"], seed=42)
    data.setup("test")
    rows = data._sets["test"].rows.numpy()
    table = pd.read_csv(Path(package.__file__).with_name("data") / "diabetes.csv")
    table.drop(columns="progression")[::-1].assign(other="x").to_csv("new.csv", index=False)

    assert main(["predict", str(trained), "new.csv"]) == 0

    written = pd.read_csv("predictions.csv")
    assert written.columns.tolist() == ["path", "progression"]
    assert written["path"].tolist() == [f"new.csv:{row}" for row in range(442)]
    predicted, true = written["progression"].to_numpy()[::-1][rows], table["progression"].to_numpy()[rows]
    logged = numbers_of(trained)[-1]
    assert logged["test/mae"] == pytest.approx(np.abs(predicted - true).mean(), rel=1e-4)
    left, spread = np.square(predicted - true).sum(), np.square(true - true.mean()).sum()
    assert logged["test/r2"] == pytest.approx(1 - left / spread, rel=1e-4)
    assert logged["test/loss"] == pytest.approx(left / len(rows) / 2 / load_scale(trained) ** 2, rel=1e-4)


def load_scale(run: Path) -> float:
    return float(load_model(run / "checkpoints/best.ckpt").data.extras["target_stds"][0])


def test_the_worst_rows_are_written_out_beside_the_residuals(trained: Path) -> None:
    (sheet,) = (trained / "figures/test/worst").glob("*.json")
    errors = []
    for image in json.loads(sheet.read_text())["images"]:
        true, predicted, place = image["caption"].splitlines()
        errors.append(abs(float(true.split()[1]) - float(predicted.split()[1])))
        assert place.startswith("#")
    assert errors == sorted(errors, reverse=True)
    assert len(errors) == 8
    for split in ("val", "test"):
        assert list((trained / "figures" / split / "residuals").glob("*.png"))
    assert "test/residuals" in (trained / "report.html").read_text()


def test_the_demo_of_classes_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trainer.accelerator=cpu", "--trainer.logger=false", "--name=classes"]
    assert main(["fit", f"--config={CONFIGS / 'breast_cancer.yaml'}", *options]) == 0

    (run,) = Path("runs").iterdir()
    assert numbers_of(run)[-1]["test/accuracy"] >= 0.96
    assert (
        main(["predict", str(run), str(Path(package.__file__).with_name("data") / "breast_cancer.csv")]) == 0
    )
    written = pd.read_csv("predictions.csv")
    assert written.columns.tolist() == ["path", "class", "probability", "entropy", "benign", "malignant"]
    assert set(written["class"]) == {"benign", "malignant"}
    data = Table(**yaml.safe_load((CONFIGS / "breast_cancer.yaml").read_text())["data"]["init_args"], seed=42)
    data.setup("test")
    tested = written.iloc[data._sets["test"].rows.numpy()]
    true = pd.read_csv(Path(package.__file__).with_name("data") / "breast_cancer.csv")["diagnosis"]
    recalls = (tested["class"] == true[tested.index]).groupby(true[tested.index]).mean()
    assert len(recalls) == 2
    assert numbers_of(run)[-1]["test/balanced_accuracy"] == pytest.approx(recalls.mean(), abs=1e-5)


@pytest.mark.faults
def test_killed_inside_an_epoch_it_ends_as_the_undisturbed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    Path("killer.py").write_text(KILLER)
    options = [*SHORT, "--checkpoint.every_n_train_steps=3"]
    whole = fit("whole", *options)
    fit("killed", *options, "--trainer.callbacks+=killer.KillAt", "--trainer.callbacks.step=15", code=-9)

    assert main(["fit", "--resume=latest"]) == 0

    (killed,) = Path("runs").glob("*-killed")
    assert numbers_of(killed) == numbers_of(whole)
    weights = [torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (killed, whole)]
    torch.testing.assert_close(weights[0]["state_dict"], weights[1]["state_dict"], rtol=0, atol=0)
    assert weights[0]["data"] == weights[1]["data"]


@pytest.mark.faults
def test_two_processes_log_and_show_what_one_does_with_twice_the_batch() -> None:
    options = [*SHORT, "--model.init_args.dropout=0", "--data.init_args.drop_last=true"]
    one = fit("one", *options, "--data.init_args.batch_size=32", "--trainer.devices=1")
    two = fit(
        "two", *options, "--data.init_args.batch_size=16", "--trainer.devices=2", "--trainer.strategy=ddp"
    )

    expected = numbers_of(one)
    assert len(expected) > 3
    for got, row in zip(numbers_of(two), expected, strict=True):
        assert got == pytest.approx(row, rel=1e-4, abs=1e-5)
    pictures = sorted(path.relative_to(one) for path in (one / "figures").rglob("*.png"))
    assert {str(path.parent) for path in pictures} >= {"figures/test/residuals", "figures/val/worst"}
    assert sorted(path.relative_to(two) for path in (two / "figures").rglob("*.png")) == pictures
    for path in (path for path in pictures if path.parent.name == "residuals"):
        images = [np.asarray(Image.open(run / path)).astype(int) for run in (one, two)]
        assert np.abs(images[0] - images[1]).mean() < 0.1, path  # points may be drawn in another order


@pytest.mark.faults
def test_the_shipped_search_runs_over_it() -> None:
    search = yaml.safe_load((CONFIGS / "sweep.yaml").read_text())
    search["base"] = [str(CONFIG)]
    Path("small.yaml").write_text(yaml.safe_dump({**search, "trials": 3, "pruner": "none"}))

    assert main(["sweep", "--config=small.yaml", "--workers=1", *SHORT]) == 0

    (table,) = Path("runs/sweeps").rglob("sweep.csv")
    values = [float(row["val/loss"]) for row in rows_of(table)]
    assert len(values) == 3
    assert all(0 < value < 10 for value in values)


def test_a_model_is_exported_with_a_batch_of_any_size(trained: Path) -> None:
    model = load_model(trained / "checkpoints/best.ckpt")
    features, codes = model.data.shapes["features"][0], model.data.shapes["categories"][0]

    def make(size: int) -> Any:
        return TableExample(features=torch.randn(size, features), categories=torch.randint(3, (size, codes)))

    batch = torch.export.Dim("batch", min=1, max=64)
    axes = axes_of(make(4), features={0: batch}, categories={0: batch})
    exported = torch.export.export(model, (make(4),), dynamic_shapes=axes)

    torch.export.save(exported, "model.pt2")
    exported = torch.export.load("model.pt2")
    for size in (1, 7):
        example = make(size)
        torch.testing.assert_close(exported.module()(example).values, model(example).values)


def test_any_network_of_torch_takes_the_rows() -> None:
    config = {
        "model": {
            "class_path": "Network",
            "init_args": {
                "network": "torch.nn.Linear",
                "network_args": {"in_features": 10, "out_features": 1},
                "input": "features",
            },
        },
        "data": {"class_path": "Table", "init_args": {"file": "diabetes.csv", "target": "progression"}},
    }
    Path("linear.yaml").write_text(yaml.safe_dump(config))

    assert main(["fit", "--config=linear.yaml", *SHORT]) == 0
    assert "val/r2" in rows_of(next(Path("runs").iterdir()) / "metrics.csv")[0]


def test_a_mistake_in_the_config_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for option, message in {
        "target=progress": "expected a column 'progress' in ",
        "file=nowhere.csv": "no such file: data/nowhere.csv",
        "features=[age,agee]": "expected a column 'agee' in ",
    }.items():
        assert main(["fit", f"--config={CONFIG}", f"--data.init_args.{option}", *SHORT]) == 2

        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith(f"error: {message}"), lines
        assert sum(line.startswith("error") for line in lines) == 1
