from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.resume.checkpoints import AtomicCheckpoints, Checkpoints
from my_project.model.resnet import ResNet
from pytorch_lightning import Callback
from support import MakeFake, MakeNet, MakeTrainer


class Worsening(ResNet):
    """Is best after its first epoch, by what it logs."""

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("val/score", float(self.current_epoch))


def fit(
    make_trainer: MakeTrainer, make_fake: MakeFake, run: Path, **options: Any
) -> dict[str, dict[str, Any]]:
    callback = Checkpoints(monitor="val/score", mode="min", **options)
    trainer = make_trainer(
        max_epochs=4, enable_checkpointing=True, callbacks=[callback], logger=RunFolderLogger(run)
    )
    trainer.fit(Worsening(num_classes=4, width=4, depths=(0, 1), stem_stride=1), make_fake())
    assert callback.last_model_path == str(run / "checkpoints" / "last.ckpt")
    paths = sorted((run / "checkpoints").iterdir())
    return {path.name: torch.load(path, weights_only=True) for path in paths}


def test_keeps_the_best_and_the_last(make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path) -> None:
    checkpoints = fit(make_trainer, make_fake, tmp_path)

    assert {name: content["epoch"] for name, content in checkpoints.items()} == {
        "best.ckpt": 1,
        "last.ckpt": 4,
    }


def test_keeps_every_nth_epoch_on_request(
    make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path
) -> None:
    checkpoints = fit(make_trainer, make_fake, tmp_path, every_n_epochs=2)

    assert set(checkpoints) == {"best.ckpt", "last.ckpt", "epoch-0002.ckpt", "epoch-0004.ckpt"}
    assert checkpoints["epoch-0002.ckpt"]["global_step"] == 8


class Look(Callback):
    """The step of ``last.ckpt``, as it is on the disk at the end of each batch; ``None`` before the first."""

    def __init__(self, run: Path) -> None:
        self.path, self.steps = run / "checkpoints" / "last.ckpt", list[int | None]()

    def on_train_batch_end(self, *args: Any) -> None:
        exists = self.path.exists()
        self.steps.append(torch.load(self.path, weights_only=True)["global_step"] if exists else None)


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (3, [None, None, None, 3, 3, 3, 6, 7, 7, 9, 9, 9, 12, 12]),
        (None, [None] * 7 + [7] * 7),
    ],
)
def test_writes_the_last_within_an_epoch_on_request(
    make_trainer: MakeTrainer,
    make_fake: MakeFake,
    make_net: MakeNet,
    tmp_path: Path,
    every: int | None,
    expected: list[int | None],
) -> None:
    look = Look(tmp_path)
    trainer = make_trainer(
        max_epochs=2,
        enable_checkpointing=True,
        callbacks=[look, Checkpoints(every_n_train_steps=every)],
        logger=RunFolderLogger(tmp_path),
    )
    trainer.fit(make_net(), make_fake(batch_size=8))

    assert look.steps == expected
    assert torch.load(look.path, weights_only=True)["global_step"] == 14


class Breaks:
    """Cannot be saved; looks at the file while it is tried."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        assert torch.load(self.path, weights_only=True) == {"step": 1}, "the old one is gone too early"
        raise ValueError("no room")


def test_a_checkpoint_that_fails_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"step": 1}, path)

    with pytest.raises(ValueError, match="no room"):
        AtomicCheckpoints().save_checkpoint({"step": 2, "weights": Breaks(path)}, path)

    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]
