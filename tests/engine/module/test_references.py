"""Each number that a run logs, and what its checkpoint holds, against a few lines of NumPy."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.resume.checkpoints import Checkpoints
from my_project.model import load_model
from my_project.model.resnet import ResNet
from my_project.structs import ImageExample, Loss, MulticlassPrediction
from pytorch_lightning import Trainer
from support import MakeFake, MakeTrainer
from torch.optim.lr_scheduler import LinearLR

NUM_EPOCHS, EVERY, LR = 2, 3, 0.1
Batch = tuple[np.ndarray, np.ndarray]  # logits (B, K) and targets (B,)


class Observed(ResNet):
    """Keeps the logits and targets of each batch, and the weights after each epoch."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen: dict[str, list[Batch]] = {"train": [], "val": [], "test": []}
        self.weights: list[dict[str, torch.Tensor]] = []

    def compute_loss(self, example: ImageExample, prediction: MulticlassPrediction) -> Loss:
        assert example.target is not None
        split = "train" if self.training else "test" if self.trainer.testing else "val"
        batch = prediction.logits.detach().double().numpy(), example.target.numpy()
        self.seen[split].append(batch)
        return super().compute_loss(example, prediction)

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self.weights.append({name: value.clone() for name, value in self.state_dict().items()})


def expected(batches: list[Batch], prefix: str) -> dict[str, float]:
    """The default metrics, by their definitions."""
    logits, target = (np.concatenate(part) for part in zip(*batches, strict=True))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    entropy = -(probs * np.log(probs)).sum(axis=1)
    wrong = probs.argmax(axis=1) != target
    uce, ece = 0.0, 0.0
    for low in np.arange(15) / 15:
        unsure = entropy / np.log(probs.shape[1])
        inside = (unsure >= low) & (unsure < low + 1 / 15)
        uce += abs((wrong[inside] - unsure[inside]).sum()) / len(target)
        inside = (probs.max(axis=1) > low) & (probs.max(axis=1) <= low + 1 / 15)
        ece += abs((~wrong[inside] - probs.max(axis=1)[inside]).sum()) / len(target)
    return {
        f"{prefix}/loss": -np.log(probs[np.arange(len(target)), target]).mean(),
        f"{prefix}/accuracy": 1 - wrong.mean(),
        f"{prefix}/entropy": entropy.mean(),
        f"{prefix}/uce": uce,
        f"{prefix}/ece": ece,
    }


@pytest.fixture
def run(make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path) -> tuple[Observed, Trainer]:
    """Two epochs of four batches, the last of them smaller, and a test."""
    schedule = partial(LinearLR, start_factor=1.0, end_factor=0.1, total_iters=8)
    optimizer = partial(torch.optim.SGD, lr=LR, momentum=0.9)
    options = {"num_classes": 4, "width": 4, "depths": (0, 1), "stem_stride": 1}
    model, data = Observed(**options, optimizer=optimizer, lr_scheduler=schedule), make_fake()
    trainer = make_trainer(
        max_epochs=NUM_EPOCHS,
        log_every_n_steps=EVERY,
        logger=RunFolderLogger(tmp_path),
        enable_checkpointing=True,
        callbacks=[Checkpoints(every_n_epochs=1)],
    )
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)
    return model, trainer


def logged(run: Path, key: str) -> dict[int, float]:
    """Values of a column by their steps."""
    with (run / "metrics.csv").open() as file:
        return {int(row["step"]): float(row[key]) for row in csv.DictReader(file) if row.get(key)}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_numbers_of_each_epoch_equal_a_reference(
    run: tuple[Observed, Trainer], tmp_path: Path, split: str
) -> None:
    batches = run[0].seen[split]
    num_epochs = 1 if split == "test" else NUM_EPOCHS
    per_epoch = len(batches) // num_epochs
    assert {len(target) for _, target in batches} == {"train": {16, 6}, "val": {6}, "test": {16, 6}}[split]

    for number in range(num_epochs):
        for key, value in expected(batches[number * per_epoch :][:per_epoch], split).items():
            values = list(logged(tmp_path, key).values())
            assert len(values) == num_epochs
            assert values[number] == pytest.approx(value, abs=2e-5), key


def test_each_number_stands_at_its_step(run: tuple[Observed, Trainer], tmp_path: Path) -> None:
    assert run[1].global_step == 8
    assert list(logged(tmp_path, "train/loss")) == list(logged(tmp_path, "val/loss")) == [3, 7]
    assert list(logged(tmp_path, "test/loss")) == [8]


def test_the_loss_of_a_step_is_the_mean_since_the_last(run: tuple[Observed, Trainer], tmp_path: Path) -> None:
    losses = [expected([batch], "train")["train/loss"] for batch in run[0].seen["train"]]
    windows = {2: losses[:3], 3: losses[3:4], 5: losses[4:6], 7: losses[6:8]}
    means = {step: float(np.mean(window)) for step, window in windows.items()}

    assert logged(tmp_path, "train/loss_step") == pytest.approx(means, abs=1e-5)


def test_the_learning_rate_is_that_of_the_next_step(run: tuple[Observed, Trainer], tmp_path: Path) -> None:
    rates = {step: LR * (1 - 0.9 * (step + 1) / 8) for step in (2, 3, 5, 7)}

    assert logged(tmp_path, "lr") == pytest.approx(rates)


def test_a_checkpoint_holds_its_epoch(run: tuple[Observed, Trainer], tmp_path: Path) -> None:
    model, trainer = run
    folder = tmp_path / "checkpoints"
    for epoch in range(1, NUM_EPOCHS + 1):
        content = torch.load(folder / f"epoch-{epoch:04d}.ckpt", weights_only=True)
        torch.testing.assert_close(content["state_dict"], model.weights[epoch - 1], rtol=0, atol=0)
        assert (content["epoch"], content["global_step"]) == (epoch, 4 * epoch)
        assert content["lr_schedulers"][0]["last_epoch"] == 4 * epoch

    last = torch.load(folder / "last.ckpt", weights_only=True)
    torch.testing.assert_close(last["state_dict"], model.weights[-1], rtol=0, atol=0)
    momenta = [state["momentum_buffer"] for state in last["optimizer_states"][0]["state"].values()]
    kept = [trainer.optimizers[0].state[p]["momentum_buffer"] for p in trainer.optimizers[0].state]
    torch.testing.assert_close(momenta, kept, rtol=0, atol=0)

    losses = list(logged(tmp_path, "val/loss").values())
    best = torch.load(folder / "best.ckpt", weights_only=True)
    assert best["epoch"] == 1 + losses.index(min(losses))


def test_a_loaded_model_predicts_as_the_trained_one(
    run: tuple[Observed, Trainer], make_fake: MakeFake, tmp_path: Path
) -> None:
    loaded = load_model(tmp_path / "checkpoints" / "last.ckpt")
    example = make_fake().load("test")["test"][range(22)]
    with torch.no_grad():
        logits = loaded(example).logits.double().numpy()

    seen = np.concatenate([part for part, _ in run[0].seen["test"]])
    np.testing.assert_allclose(logits, seen, atol=1e-5)
