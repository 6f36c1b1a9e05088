"""Each way to train, killed and asked to stop inside an epoch, ends as the run that never was."""

import random
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked import fit, said
from processes import CONFIG, DDP, MODEL, assert_equal_runs, finish, only_run, start
from support import PROJECT

pytestmark = pytest.mark.faults
NUM_EPOCHS, NUM_BATCHES = 4, 13
SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM}

PARTS = (
    MODEL
    + """
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset
from my_project.engine.module.parts import Part
from my_project.structs import ImageExample, Loss

class Fault(Callback):
    '''Sends the signal that FAULT names at the end of a batch, to the process or to all of its group.'''

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        name, epoch, number, group = (os.environ.get("FAULT") or "0 -1 -1 0").split()
        if (trainer.current_epoch, batch_idx) == (int(epoch), int(number)) and trainer.is_global_zero:
            send = os.killpg if int(group) else os.kill
            send(os.getpgid(0) if int(group) else os.getpid(), int(name))
            time.sleep(0.05)

class Thaw(Callback):
    '''Freezes by hand, and thaws as an epoch begins.'''

    def on_train_start(self, trainer, pl_module):
        pl_module.backbone.requires_grad_(False)

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            pl_module.backbone.requires_grad_(True)

class Fine(Noisy):
    '''A backbone with normalisation and a head.'''

    def __init__(self, *, num_classes, **kwargs):
        super().__init__(num_classes=num_classes, **kwargs)
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.net = nn.Sequential(self.backbone, nn.Dropout(0.1), nn.Linear(8, num_classes))

class Two(Noisy):
    '''Two parts, each with a loss of its own.'''

    def __init__(self, *, num_classes, **kwargs):
        super().__init__(num_classes=num_classes, **kwargs)
        self.body, self.head = nn.Linear(3 * 16 * 16, 8), nn.Linear(8, num_classes)

    def forward(self, example):
        code = self.body(self.normalize(example.image).flatten(1))
        self.size = code.square().mean()
        noise = 1 + 0.1 * random.random() if self.training else 1
        return MulticlassPrediction(logits=self.head(torch.relu(code)) * noise)

    def compute_loss(self, example, prediction):
        error = prediction.nll(example.target).mean()
        return Loss(terms={"body": error + 0.1 * self.size, "head": error})

class Stream(IterableDataset):
    '''Batches in an order of their own.'''

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __iter__(self):
        draw = torch.Generator().manual_seed(self.seed)
        for number in range(self.count):
            image = torch.randint(0, 256, (16, 3, 16, 16), generator=draw, dtype=torch.uint8)
            target = image.float().mean(dim=(1, 2, 3)).gt(127.5).long()
            yield ImageExample(image=image, target=target, index=torch.arange(16) + 16 * number)

class Streamed(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Stream(13, 0), batch_size=None)

    def val_dataloader(self):
        return DataLoader(Stream(2, 1), batch_size=None)

    def test_dataloader(self):
        return DataLoader(Stream(2, 2), batch_size=None)

class Shuffled(Streamed):
    '''A loader of torch, with augmentation that draws from the global generator.'''

    def train_dataloader(self):
        rows = list(Stream(13, 0))
        whole = type(rows[0]).cat(rows)

        class Rows(torch.utils.data.Dataset):
            def __len__(self):
                return len(whole)

            def __getitem__(self, row):
                one = whole[row]
                return one if torch.rand(()) < 0.5 else one.map(lambda tensor: tensor)

        def join(batch):
            joined = type(batch[0]).cat(batch)
            joined.image = (joined.image.float() * (0.9 + 0.1 * torch.rand(()))).byte()
            return joined

        return DataLoader(Rows(), batch_size=16, shuffle=True, collate_fn=join)
"""
)


def model(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"noisy.{name}", "init_args": {**CONFIG["model"]["init_args"], **init_args}}


def callback(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": name, "init_args": init_args}


ADAM = CONFIG["model"]["init_args"]["optimizer"]
CONSTANT = {"lr_scheduler": None}
PLATEAU = {
    "class_path": "pytorch_lightning.cli.ReduceLROnPlateau",
    "init_args": {"patience": 0, "monitor": "val/loss"},
}
# What each case changes in the config, by its dotted keys; a list is added to the callbacks.
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "`accumulate_grad_batches: 4`": {"trainer.accumulate_grad_batches": 4},
    "`GradientAccumulationScheduler`": {
        "callbacks": [callback("GradientAccumulationScheduler", scheduling={0: 2, 1: 4, 3: 3})]
    },
    "two optimizers": {
        "model": model("Two", optimizer=None, lr_scheduler=None)
        | {
            "init_args": {
                "optimizers": {
                    "body": {"optimizer": ADAM, "clip_norm": 1.0},
                    "head": {"optimizer": ADAM, "lr_scheduler": CONFIG["model"]["init_args"]["lr_scheduler"]},
                }
            }
        }
    },
    "frozen by hand, thawed as an epoch begins": {
        "model": model("Fine"),
        "callbacks": [{"class_path": "noisy.Thaw"}],
    },
    "`BackboneFinetuning`": {
        "model": model("Fine", **CONSTANT),
        "callbacks": [callback("BackboneFinetuning", unfreeze_backbone_at_epoch=2)],
    },
    "`EMAWeightAveraging`": {"callbacks": [callback("EMAWeightAveraging", decay=0.9)]},
    "`EarlyStopping`": {
        "trainer.max_epochs": 9,
        "callbacks": [callback("EarlyStopping", monitor="val/loss", mode="max", patience=6)],
    },
    "`ReduceLROnPlateau`": {"model": model("Noisy", lr_scheduler=PLATEAU)},
    "`val_check_interval: 0.25`": {"trainer.val_check_interval": 0.25},
    "`limit_train_batches: 0.7`": {"trainer.limit_train_batches": 0.7},
    "`PhotoAugment` with a policy, Mixup and CutMix in some epochs": {
        "data.init_args.augment": callback(
            "PhotoAugment", scale=[0.3, 1.0], rotation=9.0, hue=0.1, blur=0.5, erasing=0.5, policy="trivial"
        ),
        "data.init_args.mix": {"mixup": 0.4, "cutmix": 1.0, "prob": 0.7, "epochs": [2, 3]},
    },
    "`max_time`": {"trainer.max_time": "00:01:00:00"},
    "`max_steps` inside an epoch": {"trainer.max_steps": 45, "trainer.max_epochs": -1},
    "one validation set": {"data.init_args.val_split": 0.2},
    "several data sets in turns (`Interleave`)": {
        "data": {
            "class_path": "Interleave",
            "init_args": {
                "sources": {
                    "one": {**CONFIG["data"], "init_args": {**CONFIG["data"]["init_args"], "num_train": 50}},
                    "two": {**CONFIG["data"], "init_args": {**CONFIG["data"]["init_args"], "noise": 2.0}},
                },
                "proportions": {"one": 3, "two": 2},
                "until": NUM_BATCHES,
            },
        },
    },
    "iterable data, a plain LightningDataModule": {
        "data": {"class_path": "noisy.Streamed"},
        "trainer.val_check_interval": 1.0,
        "model": model("Noisy", num_classes=2, **CONSTANT),
    },
    "a shuffled `DataLoader`, a plain LightningDataModule": {
        "data": {"class_path": "noisy.Shuffled"},
        "model": model("Noisy", num_classes=2),
    },
}
PROCESSES = "two processes (gloo)"


def configured(changes: dict[str, Any]) -> dict[str, Any]:
    """The config of a case."""
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    config["trainer"]["callbacks"] += [{"class_path": "noisy.Fault"}, *changes.get("callbacks", [])]
    config["checkpoint"]["every_n_train_steps"] = 5
    for key, value in changes.items():
        if key != "callbacks":
            *path, last = key.split(".")
            place = config
            for name in path:
                place = place[name]
            place[last] = value
    return config


def faults_of(name: str, number: int, group: int = 0) -> list[str]:
    """Two moments at which the signal comes, inside the run and one after the other."""
    draw = random.Random(name)
    first = draw.randrange(NUM_BATCHES, 2 * NUM_BATCHES - 5)
    second = draw.randrange(first + 2, 3 * NUM_BATCHES - 1)
    places = [divmod(moment, NUM_BATCHES) for moment in (first, second)]
    return [f"{number} {epoch} {min(batch, 8)} {group}" for epoch, batch in places]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a case, with its undisturbed run."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            folder = made[name] = tmp_path_factory.mktemp("case")
            (folder / "noisy.py").write_text(PARTS)
            (folder / "config.yaml").write_text(yaml.safe_dump(configured(CASES.get(name, {}))))
            if name != PROCESSES:
                code = fit(folder, "--config=config.yaml", "--name=whole")
                assert code == 0, (folder / "said.txt").read_text()
        return made[name]

    return make


@pytest.mark.parametrize("signal_name", SIGNALS)
@pytest.mark.parametrize("name", CASES)
def test_ends_as_the_run_that_never_was(
    name: str, signal_name: str, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = whole(name)
    monkeypatch.chdir(folder)
    number = SIGNALS[signal_name]
    own = f"signal{number}"
    (folder / "said.txt").write_text("")
    first, second = faults_of(name + signal_name, number)
    stopped = -number if number == signal.SIGKILL else 0

    assert fit(folder, "--config=config.yaml", f"--name={own}", fault=first) == stopped, said(folder)
    assert fit(folder, f"--resume={own}", fault=second) == stopped, said(folder)
    assert fit(folder, f"--resume={own}") == 0, said(folder)
    assert_equal_runs(only_run("whole"), only_run(own))


@pytest.mark.parametrize("signal_name", SIGNALS)
def test_so_do_two_processes(signal_name: str, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = whole(PROCESSES)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FAULT", "0 -1 -1 0")
    if not list(Path("runs").glob("*-whole")):
        finish(start("--config=config.yaml", "--name=whole", *DDP))
    number = SIGNALS[signal_name]
    own, is_kill = f"signal{number}", int(number == signal.SIGKILL)
    monkeypatch.setenv("FAULT", f"{number} 1 3 {is_kill}")
    process = start("--config=config.yaml", f"--name={own}", *DDP)
    process.communicate(timeout=200)
    assert process.returncode == (-signal.SIGKILL if is_kill else 0)
    monkeypatch.setenv("FAULT", "0 -1 -1 0")
    finish(start(f"--resume={own}"))

    assert_equal_runs(only_run("whole"), only_run(own))


def test_the_table_of_the_docs_has_these_cases() -> None:
    text = (PROJECT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \| equal after kill -9 \| equal after SIGTERM \|", text, re.MULTILINE)
    assert rows == [*CASES, PROCESSES]
