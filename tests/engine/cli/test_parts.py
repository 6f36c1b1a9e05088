"""Every part and option of the installed Lightning, in a short run: it works, or one line says why not.

A part of a new release that stands in no row fails here.
"""

import inspect
import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import pytorch_lightning as pl
from my_project.engine.cli.lightning import make_parsers, option_names
from my_project.engine.refusals import USELESS
from pytorch_lightning import callbacks, loggers, profilers
from pytorch_lightning.strategies import SingleDeviceStrategy, StrategyRegistry
from support import PROJECT
from tiny_runs import column, error_of, fit, only_run

PAGE = PROJECT / "docs/lightning.md"


class Row(NamedTuple):
    """What a part or an option needs to be tried, and what becomes of it.

    Attributes:
        args: Arguments of the class.
        refused: Part of the one line by which it is refused; empty if it works.
        needs: Package without which it is refused; with it, nothing is tried here.
        path: Of the class, if its name is not enough.
    """

    args: str = ""
    refused: str = ""
    needs: str = ""
    path: str = ""

    @property
    def outcome(self) -> str:
        """What the page says of it."""
        return f"needs {self.needs}" if self.needs else self.refused or "works"


NOT_USABLE = "expected one that a run can use, got "
NO_LOGGER = "does not correspond to a subclass of Logger"
CALLBACKS = {
    "BackboneFinetuning": Row(refused="expected a model with a part called backbone"),
    "BaseFinetuning": Row(refused="expected a subclass of BaseFinetuning"),
    "BasePredictionWriter": Row(),
    "BatchSizeFinder": Row(
        refused=f"{NOT_USABLE}BatchSizeFinder: the run would have another batch size than its "
        "config says, and other lengths of schedules; use the command batch_size_find"
    ),
    "Callback": Row(),
    "Checkpoint": Row(),
    "DeviceStatsMonitor": Row(needs="psutil"),
    "EarlyStopping": Row("monitor: val/loss"),
    "EMAWeightAveraging": Row(),
    "GradientAccumulationScheduler": Row("scheduling: {0: 2}"),
    "LambdaCallback": Row(),
    "LearningRateFinder": Row(
        refused=f"{NOT_USABLE}LearningRateFinder: a schedule would replace the rate that it "
        "finds; use the command lr_find"
    ),
    "LearningRateMonitor": Row(),
    "ModelCheckpoint": Row("monitor: train/loss, filename: best, save_last: true"),
    "ModelPruning": Row(
        "pruning_fn: l1_unstructured",
        refused=f"{NOT_USABLE}ModelPruning: its checkpoints do not fit the model that it prunes",
    ),
    "ModelSummary": Row(),
    "OnExceptionCheckpoint": Row("dirpath: ."),
    "ProgressBar": Row(),
    "RichModelSummary": Row(needs="rich"),
    "RichProgressBar": Row(needs="rich"),
    "SpikeDetection": Row(
        refused=f"{NOT_USABLE}SpikeDetection: Lightning cannot load the state that it saves, so "
        "no checkpoint can be used; use --trainer.gradient_clip_val"
    ),
    "StochasticWeightAveraging": Row(
        "swa_lrs: 0.1",
        refused=f"{NOT_USABLE}StochasticWeightAveraging: it averages after "
        "the last validation, too late for best.ckpt; use WeightAveraging or "
        "EMAWeightAveraging",
    ),
    "ThroughputMonitor": Row(
        refused="expected batch_size_fn under init_args, got none; instead, use Throughput, which needs none"
    ),
    "Timer": Row("duration: '00:00:10:00', interval: step"),
    "TQDMProgressBar": Row(),
    "WeightAveraging": Row(),
}
LOGGERS = {
    "CometLogger": Row(needs="comet-ml"),
    "CSVLogger": Row("save_dir: elsewhere"),
    "LitLogger": Row(
        refused="does not correspond to a subclass of Logger", path="pytorch_lightning.loggers.LitLogger"
    ),
    "Logger": Row(refused="an instantiatable class, but is abstract"),
    "MLFlowLogger": Row(needs="mlflow"),
    "TensorBoardLogger": Row("save_dir: elsewhere"),
    "WandbLogger": Row("mode: disabled"),
}
PROFILERS = {
    "AdvancedProfiler": Row(),
    "PassThroughProfiler": Row(),
    "Profiler": Row(refused="it can only be one of ['simple', 'advanced', 'pytorch', 'xla']"),
    "PyTorchProfiler": Row(),
    "SimpleProfiler": Row(),
    "XLAProfiler": Row(needs="torch_xla"),
}
STRATEGIES = {
    "single_device": Row(),
    "single_tpu": Row(needs="torch_xla"),
    "single_xla": Row(needs="torch_xla"),
}
NOTHING = "expected something to train, got 0"
OPTIONS = {
    "accelerator=cpu": Row(),
    "strategy=auto": Row(),
    "devices=1": Row(),
    "num_nodes=1": Row(),
    "precision=bf16-mixed": Row(),
    "precision=16-mixed": Row(),
    "precision=bf16-true": Row(),
    "precision=64-true": Row(),
    "precision=transformer-engine": Row(needs="transformer_engine"),
    "logger=false": Row(),
    "callbacks=[]": Row(),
    "fast_dev_run=2": Row(),
    "max_epochs=0": Row(refused=NOTHING),
    "max_epochs=-1": Row(refused="expected a run of a known length, got neither max_epochs nor max_steps"),
    "min_epochs=1": Row(),
    "max_steps=2": Row(),
    "max_steps=0": Row(refused=NOTHING),
    "min_steps=1": Row(),
    "max_time=00:00:10:00": Row(),
    "limit_train_batches=1": Row(),
    "limit_train_batches=0": Row(refused=NOTHING),
    "limit_val_batches=0": Row(),
    "limit_test_batches=0": Row(),
    "limit_predict_batches=1": Row(),
    "overfit_batches=1": Row(),
    "val_check_interval=2": Row(),
    "val_check_interval=99": Row(refused="must be less than or equal to the number of the training batches"),
    "check_val_every_n_epoch=2": Row(),
    "num_sanity_val_steps=1": Row(),
    "log_every_n_steps=0": Row(),
    "enable_checkpointing=false": Row(refused="expected it left out, got false: a run needs checkpoints"),
    "enable_progress_bar=true": Row(),
    "enable_model_summary=true": Row(),
    "accumulate_grad_batches=2": Row(),
    "gradient_clip_val=1": Row(),
    "gradient_clip_algorithm=value": Row(),
    "deterministic=true": Row(),
    "benchmark=true": Row(),
    "inference_mode=false": Row(),
    "use_distributed_sampler=false": Row(),
    "profiler=simple": Row(),
    "detect_anomaly=true": Row(),
    "barebones=true": Row(refused="expected it left out, got true: a run without checkpoints, logger"),
    "plugins=[]": Row(),
    "plugins=AsyncCheckpointIO": Row(refused="expected none that writes checkpoints, got AsyncCheckpointIO"),
    "sync_batchnorm=true": Row(),
    "reload_dataloaders_every_n_epochs=1": Row(),
    "default_root_dir=elsewhere": Row(),
    "enable_autolog_hparams=false": Row(),
    "model_registry=name": Row(),
}  # fmt: skip
# Without a validation there is no best epoch: the last one is tested.
UNVALIDATED = ("limit_val_batches=0", "check_val_every_n_epoch=2")
TABLES = {
    "callbacks": CALLBACKS,
    "logger": LOGGERS,
    "profiler": PROFILERS,
    "strategy": STRATEGIES,
    "trainer": OPTIONS,
}


def option_of(kind: str, name: str, row: Row) -> str:
    """The command line's word that uses a part."""
    if kind in ("trainer", "strategy"):
        return f"--trainer.{name}" if kind == "trainer" else f"--trainer.strategy={name}"
    spec = f"{{class_path: {row.path or name}, init_args: {{{row.args}}}}}" if row.args else row.path or name
    return f"--trainer.{kind}{'' if kind == 'profiler' else '+'}={spec}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, table in TABLES.items() for name in table], ids=str
)
def test_each_part_works_or_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    row = TABLES[kind][name]
    if row.needs and find_spec(row.needs.replace("-", "_")) is not None:
        pytest.skip(f"{row.needs} is installed; what then works was not tried")

    status = fit(option_of(kind, name, row))

    if row.refused or row.needs:
        assert status == 2
        assert row.outcome in error_of(capsys)
        assert not list(Path().glob("runs/*/metrics.csv"))
        return
    assert status == 0
    if name == "fast_dev_run=2":
        assert not list(Path().glob("runs/*"))
        return
    folder = only_run("elsewhere" if name == "default_root_dir=elsewhere" else "runs")
    saved = {path.stem for path in (folder / "checkpoints").glob("*.ckpt")}
    assert saved == ({"last"} if name in UNVALIDATED else {"best", "last"})
    assert len(column(folder, "test/loss")) == (name != "limit_test_batches=0")


def test_every_part_of_the_installed_lightning_stands_in_a_row() -> None:
    classes = {name: StrategyRegistry[name]["strategy"] for name in StrategyRegistry}
    found = {
        "callbacks": {name for name in vars(callbacks) if inspect.isclass(vars(callbacks)[name])},
        "logger": {name for name in vars(loggers) if inspect.isclass(vars(loggers)[name])},
        "profiler": {name for name in vars(profilers) if inspect.isclass(vars(profilers)[name])},
        "strategy": {name for name, cls in classes.items() if issubclass(cls, SingleDeviceStrategy)},
    }

    for kind, names in found.items():
        assert names == set(TABLES[kind]), kind
    options = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    assert {name.partition("=")[0] for name in OPTIONS} == options


def test_the_page_says_what_the_table_says() -> None:
    expected = {f"`{name}`": row.outcome for table in TABLES.values() for name, row in table.items()}
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    said = dict(re.fullmatch(r"\| (`.+?`) \| (.+) \|", line).groups() for line in lines)  # type: ignore[union-attr]

    assert said == expected


def test_what_no_run_can_use_is_not_offered() -> None:
    text = make_parsers()["fit"].format_help()

    assert "--trainer.max_epochs" in text
    for name in USELESS:
        assert f"--trainer.{name}" not in text
        assert f"--trainer.{name}" not in option_names()["fit"]
