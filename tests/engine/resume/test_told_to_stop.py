"""A run that gets a signal saves itself between two batches, is queued again and ends with 0."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from my_project.engine.loggers.run_folder import RunFolderLogger
from my_project.engine.resume import signals
from my_project.engine.resume.checkpoints import Checkpoints
from my_project.engine.resume.preemption import Preemption
from pytorch_lightning import Callback, Trainer
from support import MakeFake, MakeNet, MakeTrainer

SCONTROL = '#!/bin/sh\necho "$@" >> "$QUEUE"\n'


class Ask(Callback):
    """Sends the signal in the second batch."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave no handler behind."""
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signals.listen()
    yield
    signals.clear()
    signals.stop_listening()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(make_trainer: MakeTrainer, make_fake: MakeFake, make_net: MakeNet) -> Any:
    """Trains until the signal; the exit status, and the checkpoint."""

    def run() -> tuple[Any, dict[str, Any]]:
        trainer = make_trainer(
            logger=RunFolderLogger(Path("run")),
            enable_checkpointing=True,
            callbacks=[Ask(), Preemption(), Checkpoints()],
        )
        with pytest.raises(SystemExit) as left:
            trainer.fit(make_net(), make_fake())
        return left.value.code, torch.load("run/checkpoints/last.ckpt", weights_only=True)

    return run


def test_it_saves_itself_at_the_next_batch(ended: Any) -> None:
    status, checkpoint = ended()

    assert status == 0
    assert checkpoint["global_step"] == 2
    assert not signals.is_stop_requested()


def test_a_job_is_queued_again(ended: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text(SCONTROL)
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    ended()

    assert (tmp_path / "queue").read_text() == "requeue 70_3\n"
