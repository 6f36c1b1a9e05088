"""What the engine reaches of other libraries' private parts: each test fails when its library changes it."""

import ast
import contextlib
import os
import signal
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.engine import foreign
from my_project.engine.foreign import (
    batches_of_epoch,
    batches_per_log,
    batches_trained,
    between_batches,
    callbacks_of,
    datamodule_of,
    forget_sigterm,
    is_attached,
    is_dry,
    is_overfitting,
    logged_steps,
    not_begun,
    register_pytree,
    restart_loader,
    set_update_count,
)
from my_project.engine.loggers import RunLogger
from my_project.engine.module import Part
from my_project.model.resnet import ResNet
from my_project.structs import ImageExample, Loss, MulticlassPrediction
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.exceptions import SIGTERMException
from support import MakeFake, MakeNet, MakeTrainer
from torch.utils._pytree import tree_flatten, tree_map
from torchmetrics import MeanMetric


def test_each_function_has_a_test_here() -> None:
    functions = {
        node.name
        for node in ast.parse(Path(foreign.__file__).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    tests = [node for node in ast.parse(Path(__file__).read_text()).body if isinstance(node, ast.FunctionDef)]
    used = {node.id for test in tests for node in ast.walk(test) if isinstance(node, ast.Name)}

    assert len(functions) > 10
    assert functions <= used


class TwoTerms(ResNet):
    def compute_loss(self, example: ImageExample, prediction: MulticlassPrediction) -> Loss:
        nll = super().compute_loss(example, prediction).total
        return Loss(terms={"features": nll, "head": 2 * nll})


class AtBatch(Callback):
    """Calls ``act(trainer)`` before the batch ``number`` of an epoch."""

    def __init__(self, number: int, act: Callable[[Trainer], None]) -> None:
        self.number, self.act = number, act

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.number:
            self.act(trainer)


class Steps(RunLogger):
    """Keeps the step of each row that Lightning logs."""

    name = version = ""

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, list[int]] = {}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        for key in metrics:
            self.steps.setdefault(key, []).append(-1 if step is None else step)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_logged_steps_is_the_step_of_the_rows(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, accumulated: int
) -> None:
    logger, seen = Steps(), []

    class Look(Callback):
        def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
            seen.append(logged_steps(trainer))

    trainer = make_trainer(
        max_epochs=2, logger=logger, callbacks=[Look()], accumulate_grad_batches=accumulated
    )
    trainer.fit(make_net(), make_fake())

    assert len(seen) == 2
    assert logger.steps["val/loss"] == seen


@pytest.mark.parametrize("num_optimizers", [1, 2])
def test_batches_trained_counts_batches_and_not_the_steps_of_each_optimizer(
    make_trainer: MakeTrainer, make_fake: MakeFake, num_optimizers: int
) -> None:
    parts = {"features": Part(optimizer=torch.optim.SGD), "head": Part(optimizer=torch.optim.SGD)}
    model = TwoTerms(num_classes=4, width=4, depths=(0,), optimizers=parts if num_optimizers == 2 else None)
    trainer = make_trainer(max_epochs=2)
    trainer.fit(model, make_fake())

    assert trainer.global_step == 8 * num_optimizers
    assert batches_trained(trainer) == 8


def test_torch_takes_a_registered_class_apart_and_puts_it_together() -> None:
    class Pair:
        def __init__(self, first: Any, second: Any) -> None:
            self.first, self.second = first, second

    pair = Pair(torch.ones(2), None)
    assert tree_flatten(pair)[0] == [pair]

    register_pytree(Pair, lambda pair: ([pair.first, pair.second], None), lambda parts, _: Pair(*parts))

    doubled = tree_map(lambda value: value if value is None else 2 * value, pair)
    assert isinstance(doubled, Pair)
    assert (doubled.first.tolist(), doubled.second) == ([2, 2], None)


def state_of(trainer: Trainer) -> tuple[Any, ...]:
    """All that ``between_batches`` changes."""
    loop = trainer.fit_loop.epoch_loop
    batches = loop.batch_progress
    return (
        deepcopy(batches.state_dict()),
        batches.is_last_batch,
        loop._batches_that_stepped,
        deepcopy(trainer.fit_loop.state_dict()),
    )


@pytest.mark.parametrize("batch", [2, 3, 6], ids=["amid an epoch", "after a validation", "at the last batch"])
@pytest.mark.parametrize("error", [None, OSError, KeyboardInterrupt])
def test_between_batches_counts_the_fetched_one_as_to_come_and_restores_all_counts(
    make_trainer: MakeTrainer,
    make_fake: MakeFake,
    make_net: MakeNet,
    batch: int,
    error: type[BaseException] | None,
) -> None:
    found: dict[str, Any] = {}

    def act(trainer: Trainer) -> None:
        found["before"] = state_of(trainer)
        try:
            with between_batches(trainer):
                found["inside"] = state_of(trainer)
                if error:
                    raise error
        except (OSError, KeyboardInterrupt):
            found["raised"] = True
        found["after"] = state_of(trainer)

    trainer = make_trainer(val_check_interval=3, callbacks=[AtBatch(batch, act)])
    trainer.fit(make_net(), make_fake(batch_size=8))

    assert trainer.num_training_batches == 7
    assert found.get("raised", False) == bool(error)
    assert found["after"] == found["before"]
    (before, is_last, stepped, _), (inside, is_last_inside, stepped_inside, loop) = (
        found["before"],
        found["inside"],
    )
    for counts in ("total", "current"):
        assert before[counts]["ready"] == batch + 1
        assert inside[counts]["ready"] == batch == inside[counts]["completed"]
    assert (is_last, is_last_inside) == (batch == 6, False)
    assert stepped - stepped_inside == (batch % 3 == 0), "a validation has just been"
    assert loop["epoch_loop.batch_progress"] == inside, "this is what a checkpoint holds"
    assert loop["epoch_loop.state_dict"] == {"_batches_that_stepped": stepped_inside}


def test_not_begun_counts_an_epoch_as_to_come_and_restores_it(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    seen: list[int] = []

    class Look(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
            progress = trainer.fit_loop.epoch_progress
            with contextlib.suppress(OSError), not_begun(progress):
                seen.append(progress.current.ready)
                raise OSError("full")
            seen.append(progress.current.ready)

    make_trainer(max_epochs=2, callbacks=[Look()]).fit(make_net(), make_fake())

    assert seen == [0, 1, 1, 2]


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_a_forgotten_sigterm_ends_no_training(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, is_forgotten: bool
) -> None:
    def act(trainer: Trainer) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert trainer.received_sigterm
        if is_forgotten:
            forget_sigterm(trainer)

    trainer = make_trainer(callbacks=[AtBatch(1, act)])
    if is_forgotten:
        trainer.fit(make_net(), make_fake())
        assert trainer.global_step == 4
    else:
        with pytest.raises(SIGTERMException):
            trainer.fit(make_net(), make_fake())


def test_a_module_is_attached_while_a_trainer_runs_it(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    model, seen = make_net(), []
    assert not is_attached(model)
    with pytest.raises(RuntimeError, match="not attached"):
        _ = model.trainer

    callback = AtBatch(0, lambda trainer: seen.append(is_attached(model)))
    make_trainer(callbacks=[callback]).fit(model, make_fake())

    assert seen == [True]


def test_a_metric_whose_count_is_set_takes_its_state_for_its_own() -> None:
    source, restored = MeanMetric(), MeanMetric()
    source.update(torch.tensor([1.0, 4.0]))
    for name, value in source.metric_state.items():
        setattr(restored, name, value)
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        deepcopy(restored).compute()

    set_update_count(restored, 3)

    assert (restored.update_count, restored.update_called) == (3, True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert restored.compute() == 2.5


def test_a_loader_is_begun_anew_and_passed_by(
    make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake
) -> None:
    order = torch.utils.data.DataLoader(range(6), batch_size=None)
    fetched: list[int] = []
    left: list[int] = []

    class Restart(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
            left.append(batches_of_epoch(trainer))
            restart_loader(trainer, 4)

        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: int, batch_idx: int) -> int:
            left.append(batches_of_epoch(trainer))
            fetched.append(batch)
            return 0

    class Plain(LightningModule):
        def training_step(self, batch: int) -> torch.Tensor:
            return self.layer(torch.ones(1, 1)).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.layer.parameters(), lr=0.1)

    model = Plain()
    model.layer = torch.nn.Linear(1, 1)
    make_trainer(callbacks=[Restart()], logger=False, max_steps=2).fit(model, order)

    assert fetched == [4, 5]
    assert left == [0, 0, 1]


def test_options_that_lightning_declares_nowhere_are_found(make_trainer: MakeTrainer) -> None:
    own = Callback()
    assert own in callbacks_of(make_trainer(callbacks=[own]))
    assert is_dry(make_trainer(fast_dev_run=True))
    assert not is_dry(make_trainer())
    assert [batches_per_log(make_trainer(log_every_n_steps=number)) for number in (0, 7)] == [0, 7]
    assert is_overfitting(make_trainer(overfit_batches=1))
    assert not is_overfitting(make_trainer())
    assert not is_overfitting(None)


def test_the_datamodule_is_the_one_that_was_given(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    data, seen = make_fake(), []
    data.setup("validate")

    class Look(Callback):
        def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
            seen.append(datamodule_of(trainer))

    assert datamodule_of(make_trainer()) is None
    for source in (data, data.val_dataloader()):
        make_trainer(callbacks=[Look()]).validate(make_net(), source, verbose=False)

    assert seen == [data, None]


def test_callbacks_are_called_in_the_order_of_their_list(
    make_trainer: MakeTrainer, make_net: MakeNet, make_fake: MakeFake
) -> None:
    class Notes(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            called.append(self)

    called: list[Callback] = []
    notes = [Notes(), Notes()]
    trainer = make_trainer(callbacks=notes, limit_train_batches=1, limit_val_batches=0)
    callbacks_of(trainer).reverse()
    trainer.fit(make_net(), make_fake())

    assert called == notes[::-1]
