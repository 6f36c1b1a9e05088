import csv
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.engine.errors import InputError
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.resume.checkpoints import Checkpoints
from my_project.model import BaseModel
from my_project.model.resnet import ResNet
from my_project.structs import ImageExample, Loss, MulticlassPrediction
from pytorch_lightning import Callback
from support import MakeFake, MakeNet, MakeTrainer
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR


class Frozen(ResNet):
    """Predicts from its first weights, so that a test can compute all numbers by itself."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Diverging(ResNet):
    def compute_loss(self, example: ImageExample, prediction: MulticlassPrediction) -> Loss:
        loss = super().compute_loss(example, prediction).total
        return Loss(terms={"criterion": loss * (float("nan") if self.global_step == 5 else 1.0)})


def reference(model: BaseModel, data: Any, name: str) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of a set, in one go."""
    images = data._sets[name]
    batch = images[range(len(images))]
    with torch.no_grad():
        logits = model.eval()(batch).logits
    assert batch.target is not None
    accuracy = (logits.argmax(dim=1) == batch.target).double().mean()
    return cross_entropy(logits.double(), batch.target).item(), accuracy.item()


def test_logged_numbers_of_each_validation_set_equal_a_reference(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    data = make_fake(val_split={"easy": 0.3, "hard": 7, "demo": 0.2}, demo_only=["demo"])
    model = make_net()
    trainer = make_trainer()
    trainer.validate(model, data, verbose=False)
    logged = trainer.callback_metrics

    losses, accuracies = zip(
        *(reference(model, data, f"val/{name}") for name in ("easy", "hard", "demo")), strict=True
    )
    for name, loss, accuracy in zip(("easy", "hard", "demo"), losses, accuracies, strict=True):
        assert logged[f"val/{name}/loss"].item() == pytest.approx(loss, rel=1e-5)
        assert logged[f"val/{name}/accuracy"].item() == pytest.approx(accuracy)
    assert logged["val/loss"].item() == pytest.approx((18 * losses[0] + 7 * losses[1]) / 25, rel=1e-5)
    assert logged["val/accuracy"].item() == pytest.approx((18 * accuracies[0] + 7 * accuracies[1]) / 25)


def test_one_validation_set_has_no_key_of_its_own(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    trainer = make_trainer()
    trainer.validate(make_net(), make_fake(), verbose=False)

    assert set(trainer.callback_metrics) == {
        f"val/{name}" for name in ("loss", "loss_nll", "accuracy", "entropy", "uce", "ece")
    }


class Keep(Callback):
    """Computes by itself what training sees: the model, which does not learn, is called once more."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.hits: list[Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        with torch.no_grad():
            logits = deepcopy(pl_module).train()(batch).logits.double()
        self.losses.append(cross_entropy(logits, batch.target, reduction="none"))
        self.hits.append(logits.argmax(dim=1) == batch.target)


@pytest.mark.parametrize("log_every_n_steps", [1, 3, 50])
def test_logged_numbers_of_training_equal_a_reference_however_often_they_are_logged(
    make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path, log_every_n_steps: int
) -> None:
    keep, logger = Keep(), RunFolderLogger(tmp_path)
    trainer = make_trainer(logger=logger, log_every_n_steps=log_every_n_steps, callbacks=[keep])
    trainer.fit(Frozen(num_classes=4, width=4, depths=(0, 1), stem_stride=1), make_fake())

    with logger.path.open() as file:
        rows = list(csv.DictReader(file))
    windows = [float(row["train/loss_step"]) for row in rows if row["train/loss_step"]]
    (epoch,) = (row for row in rows if row["train/loss"])
    means = [losses.mean().item() for losses in keep.losses]
    sizes = {1: [1, 1, 1, 1], 3: [3, 1], 50: [4]}[log_every_n_steps]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    expected = [sum(means[end - size : end]) / size for size, end in zip(sizes, ends, strict=True)]
    assert windows == pytest.approx(expected, rel=1e-5)
    assert [len(losses) for losses in keep.losses] == [16, 16, 16, 6]
    assert float(epoch["train/loss"]) == pytest.approx(torch.cat(keep.losses).mean().item(), rel=1e-5)
    assert float(epoch["train/accuracy"]) == pytest.approx(torch.cat(keep.hits).double().mean().item())
    assert 0 < float(epoch["train/accuracy"]) < 1


@pytest.mark.parametrize(
    ("scheduler", "name"),
    [
        (partial(OneCycleLR, max_lr=0.1), "total_steps"),
        (partial(CosineAnnealingLR, T_max=0), "T_max"),
        (partial(LinearLR, total_iters=0), "total_iters"),
    ],
)
def test_the_schedule_is_as_long_as_the_run(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet, scheduler: Any, name: str
) -> None:
    trainer = make_trainer(max_epochs=2)
    trainer.fit(make_net(optimizer=partial(torch.optim.SGD, lr=0.1), lr_scheduler=scheduler), make_fake())

    (config,) = trainer.lr_scheduler_configs
    assert getattr(config.scheduler, name) == 8 == trainer.global_step
    assert config.scheduler.last_epoch == 8


def test_a_given_length_is_kept(make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet) -> None:
    trainer = make_trainer()
    trainer.fit(make_net(lr_scheduler=partial(CosineAnnealingLR, T_max=77)), make_fake())

    assert trainer.lr_scheduler_configs[0].scheduler.T_max == 77  # type: ignore[attr-defined]


def test_a_resumed_run_cannot_outlive_its_schedule(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    options = {"optimizer": partial(torch.optim.SGD, lr=0.1), "lr_scheduler": partial(OneCycleLR, max_lr=0.1)}
    trainer = make_trainer()
    trainer.fit(make_net(**options), make_fake())
    trainer.save_checkpoint("last.ckpt")

    with pytest.raises(InputError, match=r"expected the 4 steps .* scheduled, got 12"):
        make_trainer(max_epochs=3).fit(
            make_net(**options), make_fake(), ckpt_path="last.ckpt", weights_only=True
        )


def test_norms_and_biases_are_not_decayed(make_net: MakeNet) -> None:
    model = make_net(optimizer=partial(torch.optim.SGD, lr=0.1, weight_decay=0.5))
    optimizer: Any = model.configure_optimizers()["optimizer"]  # type: ignore[call-overload, index]

    for group in optimizer.param_groups:
        ranks = {parameter.ndim for parameter in group["params"]}
        assert (group["weight_decay"] == 0.5) == (min(ranks) > 1)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_stops_at_a_loss_that_is_not_finite_and_keeps_the_last_good_checkpoint(
    make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path
) -> None:
    model = Diverging(num_classes=4, width=4, depths=(0, 1), stem_stride=1)
    trainer = make_trainer(
        max_epochs=3,
        log_every_n_steps=50,
        enable_checkpointing=True,
        callbacks=[Checkpoints()],
        logger=RunFolderLogger(tmp_path),
    )

    with pytest.raises(InputError, match=r"got nan at step 6, batch 1 of epoch 1; .*checkpoints/last.ckpt"):
        trainer.fit(model, make_fake())

    weights = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())


class Exploding(ResNet):
    """Its loss stays finite, its gradient does not."""

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad.fill_(float("inf"))


def test_weights_that_are_not_finite_are_not_saved(
    make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path
) -> None:
    trainer = make_trainer(max_steps=1, limit_val_batches=0)
    trainer.fit(Exploding(num_classes=4, width=4, depths=(0, 1), stem_stride=1), make_fake())

    with pytest.raises(InputError, match=r"expected finite weights to save, got NaN or infinity in features"):
        trainer.save_checkpoint("last.ckpt")

    assert not Path("last.ckpt").exists()


def test_refuses_data_with_another_number_of_classes(
    make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet
) -> None:
    with pytest.raises(InputError, match=r"made for 4 outputs .*, but the data has 5"):
        make_trainer().validate(make_net(), make_fake(num_classes=5))


class TwoTerms(ResNet):
    def compute_loss(self, example: ImageExample, prediction: MulticlassPrediction) -> Loss:
        terms = {**super().compute_loss(example, prediction).terms, "size": prediction.logits.square().mean()}
        return Loss(terms=terms, weights={"size": 0.5})


def test_each_term_of_the_loss_is_logged(make_trainer: MakeTrainer, make_fake: MakeFake) -> None:
    trainer = make_trainer()
    trainer.fit(TwoTerms(num_classes=4, width=4, depths=(0, 1), stem_stride=1), make_fake())

    logged = {name: value.item() for name, value in trainer.callback_metrics.items()}
    for split in ("train", "val"):
        expected = logged[f"{split}/loss_nll"] + 0.5 * logged[f"{split}/loss_size"]
        assert logged[f"{split}/loss"] == pytest.approx(expected, rel=1e-5)


def test_examples_without_target_are_predicted_and_validated(
    make_trainer: MakeTrainer, make_net: MakeNet
) -> None:
    batches = [ImageExample(image=torch.zeros(3, 3, 8, 8, dtype=torch.uint8))]
    loader = torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)  # type: ignore[arg-type, var-annotated]
    trainer = make_trainer()

    (prediction,) = trainer.predict(make_net(), loader)  # type: ignore[misc]
    trainer.validate(make_net(), loader, verbose=False)

    assert isinstance(prediction, MulticlassPrediction)
    assert set(trainer.callback_metrics) == {"val/entropy", "val/uce"}
    assert trainer.callback_metrics["val/uce"].isnan()
