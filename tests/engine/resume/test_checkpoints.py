from pathlib import Path
from typing import Any

import torch
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.resume.checkpoints import Checkpoints
from my_project.model import ResNet
from support import MakeFake, MakeTrainer


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


def test_writes_the_last_within_an_epoch_on_request(
    make_trainer: MakeTrainer, make_fake: MakeFake, tmp_path: Path
) -> None:
    saved = []

    class Look(Checkpoints):
        def _save(self, trainer: Any, name: str) -> None:
            super()._save(trainer, name)
            saved.append((name, trainer.global_step))

    trainer = make_trainer(
        enable_checkpointing=True,
        callbacks=[Look(every_n_train_steps=3)],
        logger=RunFolderLogger(tmp_path),
    )
    trainer.fit(ResNet(num_classes=4, width=4, depths=(0, 1), stem_stride=1), make_fake())

    assert saved == [("last", 3), ("last", 4)]
