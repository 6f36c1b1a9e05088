"""In processes of their own: a config that names the logger may find but one class of that name."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

PARAMETERS = """
import inspect
from my_project.engine.loggers.absent import WandbRunLogger
from my_project.engine.wandb.logger import WandbRunLogger as Real

def parameters(logger):
    return {name: each.default for name, each in inspect.signature(logger).parameters.items()}

assert WandbRunLogger is not Real
assert parameters(WandbRunLogger) == parameters(Real), (parameters(WandbRunLogger), parameters(Real))
"""
USED = """
import logging
from my_project.engine.loggers.absent import WandbRunLogger

logging.basicConfig(format="%(message)s", level=logging.INFO)
logger = WandbRunLogger(save_dir="run", tags=["a"])
logger.log_metrics({"loss": 1.0}, step=0)
logger.finish(0)
"""


def said_by(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.skipif(find_spec("my_project.engine.wandb") is None, reason="the project has no engine/wandb")
def test_it_takes_what_the_logger_that_is_gone_takes() -> None:
    said_by(PARAMETERS)


def test_it_says_in_one_line_what_to_do() -> None:
    assert said_by(USED) == [
        "Weights & Biases: off, because engine/wandb was deleted; remove WandbRunLogger from the config"
    ]
