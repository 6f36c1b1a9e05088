"""Strategies are refused before anything is trained if their checkpoints cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from my_project.__main__ import main as run
from my_project.engine.resume.sharding import refuse_folders
from support import CONFIG

STRATEGIES = "pytorch_lightning.strategies."


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (
            {"class_path": STRATEGIES + "ModelParallelStrategy"},
            "set --trainer.strategy.init_args.save_distributed_checkpoint=false",
        ),
        (
            {"class_path": STRATEGIES + "FSDPStrategy", "init_args": {"state_dict_type": "sharded"}},
            "set --trainer.strategy.init_args.state_dict_type=full",
        ),
        ("deepspeed_stage_2", "got deepspeed_stage_2, which writes folders; use ddp"),
    ],
)
def test_a_strategy_that_writes_folders_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str], strategy: Any, message: str
) -> None:
    Path("config.yaml").write_text(json.dumps(CONFIG))
    written = strategy if isinstance(strategy, str) else json.dumps(strategy)

    assert run(["fit", "--config=config.yaml", f"--trainer.strategy={written}"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: expected a strategy whose checkpoints are files, got ")
    assert message in line
    assert not Path("runs").exists()


@pytest.mark.parametrize("strategy", ["auto", "ddp", "fsdp", None])
def test_others_are_not(strategy: str | None) -> None:
    refuse_folders(strategy)
