"""Two processes agree, whether each has the whole model or a part of it: numbers, statistics, checkpoints.

All runs are made by one pair of processes, on the CPU by gloo.
"""

import csv
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import torch
import yaml
from my_project.engine.errors import InputError
from my_project.engine.resume.load import load_checkpoint
from my_project.model import load_model

CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "num_threads": 1,
    "test_after_fit": True,
    "model": {
        "class_path": "sharded_parts.Net",
        "init_args": {
            "metrics": {"accuracy": "Accuracy"},
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.01, "weight_decay": 0.1}},
        },
    },
    "data": {"class_path": "Fake", "init_args": {"num_train": 90, "num_test": 21, "batch_size": 8}},
    "trainer": {"max_epochs": 2, "log_every_n_steps": 2, "accelerator": "cpu", "devices": 2},
}
OWN = f"""
import json
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningDataModule
from pytorch_lightning.strategies import FSDPStrategy
from torch import nn
from torch.distributed.fsdp import (
    FullOptimStateDictConfig, FullStateDictConfig, FullyShardedDataParallel, OptimStateKeyType, StateDictType,
    fully_shard,
)
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader

from {package.__name__}.engine.processes import gather_objects
from {package.__name__}.model import BaseModel
from {package.__name__}.structs import ImageExample, MulticlassPrediction


class Net(BaseModel):
    def __init__(self, *, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(3 * 16 * 16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, num_classes)
        )

    def forward(self, example):
        return MulticlassPrediction(logits=self.net(example.image.float() / 255))


class Sharded(Net):
    def configure_model(self):
        if not isinstance(self.net[1].weight, DTensor):
            fully_shard(self.net, mesh=self.device_mesh["data_parallel"])


class CpuFSDP(FSDPStrategy):
    '''Lightning's leaves the device to torch, which takes a GPU.'''

    def _setup_model(self, model):
        return FullyShardedDataParallel(
            model,
            device_id=torch.device("cpu"),
            use_orig_params=True,
            auto_wrap_policy=ModuleWrapPolicy({{nn.Linear}}),
        )

    def optimizer_state(self, optimizer):
        # torch gathers all states into one tensor, and copies them out of it from a GPU alone.
        here = FullStateDictConfig(), FullOptimStateDictConfig(offload_to_cpu=False)
        with FullyShardedDataParallel.state_dict_type(self.model, StateDictType.FULL_STATE_DICT, *here):
            state = FullyShardedDataParallel.optim_state_dict(self.model, optimizer)
        return FullyShardedDataParallel.rekey_optim_state_dict(state, OptimStateKeyType.PARAM_ID, self.model)


class Look(Callback):
    '''Writes what each process decays, and whether all have the same statistics in a validation.'''

    def on_train_start(self, trainer, module):
        groups = trainer.optimizers[0].param_groups
        self.groups = [(group["weight_decay"], len(group["params"])) for group in groups]

    def on_validation_end(self, trainer, module):
        means = gather_objects(module.net[2].running_mean.tolist())
        seen = {{"agree": means[0] == means[1], "trained": any(means[0]), "groups": vars(self).get("groups")}}
        Path(trainer.default_root_dir, f"seen-{{trainer.global_rank}}.json").write_text(json.dumps(seen))


class OneToValidate(LightningDataModule):
    def loader(self, size):
        image = torch.zeros(size, 3, 16, 16)
        data = [{{"image": image[row], "target": torch.tensor(0)}} for row in range(size)]

        def collate(rows):
            return ImageExample(**{{key: torch.stack([row[key] for row in rows]) for key in rows[0]}})

        return DataLoader(data, batch_size=4, collate_fn=collate)

    def train_dataloader(self):
        return self.loader(16)

    def val_dataloader(self):
        return self.loader(1)
"""
# Several command lines, one after the other, in each of two processes that know each other.
DRIVER = f"""
import json, os, sys
from {package.__name__}.__main__ import main

statuses = []
for name, *args in json.loads(sys.argv[1]):
    os.makedirs("runs/" + name, exist_ok=True)
    os.environ["{{RUN}}"] = "runs/" + name
    statuses.append(main(args))
print(json.dumps(statuses))
"""
PARALLEL = {
    "class_path": "pytorch_lightning.strategies.ModelParallelStrategy",
    "init_args": {"data_parallel_size": 2, "tensor_parallel_size": 1, "save_distributed_checkpoint": False},
}


def run_by_two(command_lines: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    """What two processes say, and in their last line the statuses of the command lines."""
    from my_project.engine.runs.folder import RUN_VARIABLE

    Path("sharded_parts.py").write_text(OWN)
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    Path("driver.py").write_text(DRIVER.replace("{RUN}", RUN_VARIABLE))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def run(rank: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "driver.py", json.dumps(command_lines)],
            env={**os.environ, "LOCAL_RANK": str(rank), "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            timeout=150,
        )

    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(run, range(2)))
    assert all(process.returncode == 0 for process in ended), [process.stderr for process in ended]
    return ended


def fit(name: str, strategy: Any, *more: str) -> list[str]:
    """A command line of ``DRIVER``."""
    written = strategy if isinstance(strategy, str) else json.dumps(strategy)
    options = [f"--trainer.strategy={written}", "--trainer.callbacks+=sharded_parts.Look", *more]
    return [name, "fit", "--config=config.yaml", *options]


def rows_of(name: str) -> list[dict[str, str]]:
    with Path(f"runs/{name}/metrics.csv").open() as file:
        return list(csv.DictReader(file))


def values_of(name: str, key: str) -> list[float]:
    return [float(row[key]) for row in rows_of(name) if row[key]]


def test_two_processes_agree_whether_each_has_the_whole_model_or_a_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One test, since the runs are made together; all but ``ddp`` are resumed after their first epoch."""
    ended = run_by_two(
        [
            fit("ddp", "ddp"),
            fit("parts", PARALLEL, "--model=sharded_parts.Sharded", "--trainer.max_epochs=1"),
            ["parts", "fit", "--resume=runs/parts", "--trainer.max_epochs=2"],
            fit("fsdp", {"class_path": "sharded_parts.CpuFSDP"}, "--trainer.max_epochs=1"),
            ["fsdp", "fit", "--resume=runs/fsdp", "--trainer.max_epochs=2"],
            ["fsdp", "test", "--run=runs/fsdp"],
            fit(
                "few",
                "ddp",
                "--data=sharded_parts.OneToValidate",
                "--trainer.num_sanity_val_steps=0",
                "--model.num_classes=4",
            ),
        ]
    )
    monkeypatch.syspath_prepend(tmp_path)
    expected = load_model("runs/ddp/checkpoints/last.ckpt").state_dict()
    for name in ("ddp", "parts", "fsdp"):
        check_groups_and_statistics(name)
        check_first_line(name, ended[0].stderr)
        for key in ("val/loss", "val/accuracy", "train/loss", "train/accuracy", "train/loss_step", "lr"):
            assert len(values_of(name, key)) >= 2
            assert values_of(name, key) == pytest.approx(values_of("ddp", key), rel=1e-4), (name, key)
        weights = load_model(f"runs/{name}/checkpoints/last.ckpt").state_dict()
        torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-5)
    monkeypatch.delitem(sys.modules, "sharded_parts")
    assert "not tested after fit; run: test --run latest" in ended[0].stderr
    assert values_of("fsdp", "test/loss") == pytest.approx(values_of("ddp", "test/loss"), rel=1e-4)
    for process in ended:
        check_few(process)


def check_groups_and_statistics(name: str) -> None:
    """Biases and normalisation are not decayed, and both processes validate with the same statistics."""
    for rank in range(2):
        seen = json.loads(Path(f"runs/{name}/seen-{rank}.json").read_text())
        assert seen == {"agree": True, "trained": True, "groups": [[0.1, 2], [0.0, 4]]}, name


def check_first_line(name: str, said: str) -> None:
    """It says processes, global batch, and the parameters of the whole model."""
    (line,) = [line for line in said.splitlines() if line.endswith(f"from epoch 1: runs/{name}")]
    assert "(6,204 parameters) on Fake, 2 processes x cpu, global batch 16, 5 steps an epoch" in line
    assert line in Path(f"runs/{name}/log.txt").read_text()


def check_few(process: subprocess.CompletedProcess[str]) -> None:
    """Nobody waits for the numbers of a process that has no example: both refuse the set."""
    assert json.loads(process.stdout.splitlines()[-1]) == [0, 0, 0, 0, 0, 0, 2]
    assert process.stderr.strip().splitlines()[-1] == (
        "error: expected an example for each of 2 processes, got a set of 1; "
        "use fewer --trainer.devices, or more data"
    )


def test_a_checkpoint_that_is_a_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").mkdir()

    with pytest.raises(InputError, match=r"got the folder .*last\.ckpt .* save_distributed_checkpoint=false"):
        load_checkpoint(tmp_path / "last.ckpt")
