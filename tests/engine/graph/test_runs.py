"""Runs of graphs by the real command line: killed and resumed, on two processes, and the examples."""

import contextlib
import functools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import fit, said
from my_project.__main__ import main
from my_project.model import load_model
from processes import DDP, assert_close_runs, assert_equal_runs, finish, only_run, start
from support import PROJECT
from task_runs import KILLER

EXAMPLES = sorted((PROJECT / "configs/examples").glob("*.yaml"))


def write_gan(**options: Any) -> None:
    """The example of a GAN, short, with checkpoints inside its epochs; the generator adds up gradients."""
    config = yaml.safe_load((PROJECT / "configs/examples/gan.yaml").read_text(encoding="utf-8"))
    config["trainer"] |= {"max_epochs": 3, "check_val_every_n_epoch": 1, "log_every_n_steps": 4}
    config["trainer"]["callbacks"][0]["init_args"] |= {"every_n_epochs": 1, "every_n_train_steps": 5}
    config["checkpoint"]["every_n_train_steps"] = 3
    config["model"]["init_args"]["optimizers"]["generator"] |= {"accumulate": 4, "fresh": True, **options}
    config["model"]["init_args"]["optimizers"]["critic"]["lr_scheduler"] = {
        "class_path": "torch.optim.lr_scheduler.CosineAnnealingLR",
        "init_args": {"T_max": 0},
    }
    Path("gan.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    Path("killer.py").write_text(KILLER)


@pytest.fixture(scope="module")
def whole_gan(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """An undisturbed run for each number of batches between two steps of the generator."""

    @functools.cache
    def train(every: int) -> Path:
        folder = tmp_path_factory.mktemp("whole")
        with contextlib.chdir(folder):
            write_gan(every=every)
            assert fit(folder, "--config=gan.yaml", "--name=whole") == 0, said(folder)
            return only_run("whole").absolute()

    return train


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 20))]
)
def test_a_gan_that_is_killed_at_a_random_step_ends_as_one_that_was_not(
    whole_gan: Callable[[int], Path], seed: int
) -> None:
    every, step, here = 1 + seed % 2, random.Random(seed).randrange(4, 63), Path.cwd()
    write_gan(every=every)
    killing = ["--trainer.callbacks+=killer.KillAt", f"--trainer.callbacks.step={step}"]
    assert fit(here, "--config=gan.yaml", "--name=killed", *killing) == -9

    assert fit(here, "--resume=killed") == 0, said(here)

    assert_equal_runs(whole_gan(every), only_run("killed"))


def test_two_processes_train_two_optimizers_as_one_does_with_twice_the_batch() -> None:
    write_gan(every=2)
    config = yaml.safe_load(Path("gan.yaml").read_text())
    arguments = config["model"]["init_args"]
    # Its noise is the image, and nothing drops out.
    pool = {"class_path": "torch.nn.AdaptiveAvgPool2d", "init_args": {"output_size": 4}}
    own = {"noise": pool, "flatten": "torch.nn.Flatten", "critic": {"class_path": "judge.Judge"}}
    arguments["networks"] |= own
    arguments["graph"]["fake"] = "generator(flatten(noise(image)))"
    layers = "nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)"
    Path("judge.py").write_text(
        "from torch import nn\n\nclass Judge(nn.Sequential):\n"
        "    def __init__(self):\n"
        f"        super().__init__({layers})\n"
    )
    config["data"]["init_args"]["drop_last"] = True
    del config["trainer"]["callbacks"]
    Path("gan.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    finish(start("--config=gan.yaml", "--name=one", "--data.init_args.batch_size=64"))
    finish(start("--config=gan.yaml", "--name=two", "--data.init_args.batch_size=32", *DDP))

    assert_close_runs(only_run("one"), only_run("two"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_trains_and_its_checkpoint_is_a_model(path: Path) -> None:
    options = [
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=3",
        "--trainer.check_val_every_n_epoch=1",
    ]
    if path.stem == "distillation":
        teacher = ["--config", f"{PROJECT}/configs/digits.yaml", "--name=teacher", *options]
        assert main(["fit", *teacher, "--trainer.logger=false"]) == 0

    assert main(["fit", f"--config={path}", f"--name={path.stem}", *options]) == 0

    run = only_run(path.stem)
    assert list(run.glob("figures/test/**/*.png"))
    num_stages = len(yaml.safe_load(path.read_text(encoding="utf-8")).get("stages", [path]))
    assert len(list(run.glob("figures/graph/*"))) == num_stages, "a graph for each stage"
    assert (run / "figures/graph/step-00000000.png").is_file()
    kept = shutil.copy(run / "checkpoints/best.ckpt", "kept.ckpt")
    shutil.rmtree("runs")
    assert not load_model(kept).training


def test_the_networks_of_an_example_take_sixty_lines_and_the_configs_are_of_the_examples() -> None:
    assert len(EXAMPLES) >= 4
    for path in (PROJECT / "my_project/model/examples").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("--trainer.accumulate_grad_batches=2", "accumulate"),
        ("--trainer.gradient_clip_val=1", "clip_norm"),
    ],
)
def test_what_each_optimizer_has_for_itself_is_no_option_of_the_trainer(
    option: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_gan()

    assert main(["fit", "--config=gan.yaml", option]) == 2

    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert f"give {remedy} to each of optimizers" in said
