"""What the first line of a run says of its machine."""

import json
from pathlib import Path

import pytest
import yaml
from my_project.__main__ import main as run
from my_project.engine.record.record_run import describe_devices
from support import CONFIG, MakeFake, MakeNet, MakeTrainer


def test_a_run_starts_on_one_device_and_says_its_batch(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(json.dumps(CONFIG))

    assert run(["fit", "--config=config.yaml", "--name=one", "--data.init_args.batch_size=16"]) == 0

    assert (
        "parameters) on Fake, cpu, batch 16, 3 steps an epoch, from epoch 1: runs/" in capsys.readouterr().err
    )
    (config,) = Path("runs").glob("*-one/config.yaml")
    assert yaml.safe_load(config.read_text())["trainer"]["devices"] == 1


@pytest.mark.parametrize(
    ("options", "batch_size", "expected"),
    [
        ({}, 16, "cpu, batch 16"),
        ({}, 500, "cpu, batch 54"),
        ({"accumulate_grad_batches": 4}, 8, "cpu, batch 32"),
    ],
)
def test_a_batch_is_what_a_step_of_the_optimizer_takes(
    make_trainer: MakeTrainer,
    make_fake: MakeFake,
    make_net: MakeNet,
    options: dict[str, int],
    batch_size: int,
    expected: str,
) -> None:
    trainer = make_trainer(limit_train_batches=1, **options)
    trainer.fit(make_net(), make_fake(batch_size=batch_size))

    assert describe_devices(trainer, batch_size=3) == expected
