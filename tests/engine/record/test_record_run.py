"""What the first line of a run says of its machine."""

import json
from pathlib import Path

import pytest
import yaml
from my_project.__main__ import main as run
from my_project.data.fake import Fake
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


def test_counts_of_classes_and_the_majority_are_said_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(json.dumps(CONFIG))
    assert run(["fit", "--config=config.yaml", "--name=one"]) == 0

    data = yaml.safe_load(next(Path("runs").glob("*-one/config.yaml")).read_text())["data"]
    fake = Fake(**data["init_args"])
    fake.setup("fit")
    train, val = fake.train_set.targets, fake._sets["val/val"].targets
    assert train is not None
    assert val is not None
    counts = {name: train.tolist().count(number) for number, name in enumerate(fake.class_names)}
    largest = max(range(fake.num_classes), key=train.tolist().count)
    accuracy = val.tolist().count(largest) / len(val)
    (path,) = Path("runs").glob("*-one/run.json")
    (start,) = json.loads(path.read_text())
    assert start["class_counts"] == counts
    assert start["majority_accuracy"] == pytest.approx(accuracy)
    said = capsys.readouterr().err
    assert f"{fake.class_names[largest]} {counts[fake.class_names[largest]]}, " in said
    assert f"; always {fake.class_names[largest]} has accuracy {accuracy:.3f}" in said
