"""A StopIteration of a user's own is an error, and what Lightning ends early on purpose is none."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from my_project.__main__ import main
from my_project.engine.errors import InputError
from my_project.engine.module.parts import Part
from my_project.engine.record.whole_epochs import WholeEpochs
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.demos.boring_classes import BoringModel
from support import CONFIG, MakeFake, MakeNet, MakeTrainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

HOOKS = ["on_train_batch_start", "on_before_zero_grad", "on_train_batch_end"]
EVALUATION = ["on_validation_batch_start", "on_validation_batch_end", "on_test_batch_end"]


def raising(hook: str, at: int = 1) -> Callback:
    """A callback that raises at the second call of a hook."""
    calls = []

    def stop(self: Callback, *args: Any, **kwargs: Any) -> None:
        calls.append(hook)
        if len(calls) > at:
            next(iter(()))

    return type("Mine", (Callback,), {hook: stop})()


@pytest.mark.parametrize("hook", [*HOOKS, *EVALUATION])
def test_a_callback_may_not_end_an_epoch(
    hook: str, make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    trainer = make_trainer(max_epochs=1, callbacks=[raising(hook), WholeEpochs()], num_sanity_val_steps=0)
    data = make_fake(num_train=64, num_test=40, batch_size=8, val_split=0.5)
    name = "the test" if "test" in hook else "validation" if "validation" in hook else "training"

    def run() -> None:
        trainer.fit(model := make_net(), data)
        trainer.test(model, data)

    with pytest.raises(InputError, match=rf"expected \d batches in {name}, got 1: a StopIteration ended it"):
        run()


@pytest.mark.parametrize("num_optimizers", [1, 2])
def test_neither_may_a_model(
    num_optimizers: int, make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    make = partial(torch.optim.SGD, lr=0.1)
    parts = {name: Part(optimizer=make, parts=[name], loss=["nll"]) for name in ("head", "features")}
    net = make_net(**({"optimizers": parts} if num_optimizers == 2 else {}))
    forward, calls = net.forward, []

    def fail(*args: Any) -> Any:
        calls.append(args)
        return next(iter(())) if len(calls) > 1 else forward(*args)

    net.forward = fail
    trainer = make_trainer(max_epochs=1, callbacks=[WholeEpochs()], num_sanity_val_steps=0)

    with pytest.raises(InputError, match="expected 4 batches in training, got 1"):
        trainer.fit(net, make_fake(num_train=64, batch_size=8, val_split=0.5))


class Numbers(Dataset[Tensor]):
    """Whose fourth row raises."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> Tensor:
        return torch.ones(32) if row != 3 else next(iter(()))


class Stream(IterableDataset[Tensor]):
    """Shorter than it says."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Any:
        return iter(torch.ones(3, 32))


class Skips(BoringModel):
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if batch_idx == 2 else None


class Stops(Callback):
    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        trainer.should_stop = trainer.global_step == 3


def fit_boring(
    make_trainer: MakeTrainer, model: LightningModule, dataset: Any, *callbacks: Callback, **options: Any
) -> Trainer:
    trainer = make_trainer(callbacks=[WholeEpochs(), *callbacks], **{"max_epochs": 2, **options})
    trainer.fit(model, DataLoader(dataset))
    return trainer


def test_neither_may_a_dataset(make_trainer: MakeTrainer) -> None:
    with pytest.raises(InputError, match="expected 6 batches in training, got 3"):
        fit_boring(make_trainer, BoringModel(), Numbers())


@pytest.mark.filterwarnings(
    "ignore:Your `IterableDataset` has `__len__` defined", "ignore:Length of IterableDataset"
)
@pytest.mark.parametrize(
    ("model", "dataset", "callbacks", "options", "num_steps"),
    [
        (BoringModel, Stream(), [], {}, 6),
        (Skips, torch.ones(6, 32), [], {}, 4),
        (BoringModel, torch.ones(6, 32), [Stops()], {}, 3),
        (BoringModel, torch.ones(6, 32), [], {"max_steps": 4}, 4),
        (BoringModel, torch.ones(6, 32), [], {"limit_train_batches": 0.5}, 6),
        (BoringModel, torch.ones(6, 32), [], {"val_check_interval": 2}, 12),
        (BoringModel, torch.ones(6, 32), [], {"accumulate_grad_batches": 4}, 4),
        (BoringModel, torch.ones(6, 32), [], {"overfit_batches": 2}, 4),
        (BoringModel, torch.ones(6, 32), [], {"fast_dev_run": 2}, 2),
    ],
)
def test_what_is_ended_on_purpose_is_no_error(
    make_trainer: MakeTrainer,
    model: type[BoringModel],
    dataset: Any,
    callbacks: list[Callback],
    options: dict[str, Any],
    num_steps: int,
) -> None:
    assert fit_boring(make_trainer, model(), dataset, *callbacks, **options).global_step == num_steps


def test_a_run_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "stops_mine.py").write_text(
        "from pytorch_lightning import Callback\n\n\nclass Mine(Callback):\n"
        "    def on_train_batch_end(self, *args, **kwargs):\n        next(iter([]))\n"
    )
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))

    assert main(["fit", "--config=config.yaml", "--trainer.callbacks=stops_mine.Mine"]) == 2
    assert "expected 1 batches in training, got 0: a StopIteration ended it" in capsys.readouterr().err
