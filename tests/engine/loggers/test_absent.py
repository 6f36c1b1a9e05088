import inspect
import logging
from importlib.util import find_spec

import pytest
from my_project.engine.loggers.absent import WandbRunLogger


@pytest.mark.skipif(find_spec("my_project.engine.wandb") is None, reason="the project has no engine/wandb")
def test_it_takes_what_the_logger_that_is_gone_takes() -> None:
    from my_project.engine.wandb.logger import WandbRunLogger as Real

    def parameters(logger: type) -> dict[str, object]:
        return {name: each.default for name, each in inspect.signature(logger).parameters.items()}

    assert parameters(WandbRunLogger) == parameters(Real)


def test_it_says_in_one_line_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="my_project"):
        logger = WandbRunLogger(save_dir="run", tags=["a"])
        logger.log_metrics({"loss": 1.0}, step=0)
        logger.finish(0)

    assert caplog.messages == [
        "Weights & Biases: off, because engine/wandb was deleted; remove WandbRunLogger from the config"
    ]
