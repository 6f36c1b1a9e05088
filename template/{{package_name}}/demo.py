"""What the project trains when no command is given."""

import logging
import os
from pathlib import Path

from .engine import PACKAGE
from .engine.cli.lightning import CLI
from .engine.cli.memory import keep_memory
from .engine.errors import InputError

CONFIGS = Path(__file__).parents[1] / "configs"
# Tried in turn, on one device, if they are there: CIFAR-10, if it can be had in a minute, or what comes with
# the project.
ATTEMPTS = {
    "cifar10.yaml": ["--data.init_args.download_limit_s=60"],
    "digits.yaml": [],
    "multi_digits.yaml": [],
    "masks.yaml": [],
    "diabetes.yaml": [],
    "syllables.yaml": [],
}
log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Train the first config whose data is available.

    Raises:
        InputError: None can be trained.
    """
    keep_memory()
    attempts = [(CONFIGS / name, options) for name, options in ATTEMPTS.items() if (CONFIGS / name).is_file()]
    if not attempts:
        raise InputError(
            f"expected a config of the demo in {CONFIGS}, got none; name one in demo.py or delete it"
        )
    for number, (config, options) in enumerate(attempts):
        try:
            CLI(["fit", "--config", str(config), *options, "--trainer.devices=1", "--test_after_fit=true"])
        except InputError as error:
            if number + 1 == len(attempts):
                raise
            why, other = error.__cause__ or error, attempts[number + 1][0].stem
            log.warning(f"{config.stem} is not at hand ({why}): the demo trains on {other} instead")
        else:
            break
    if (photos := CONFIGS / "image_folder.yaml").is_file():
        path = os.path.relpath(photos)
        log.info(f"      python -m {PACKAGE} fit --config {path} --data.init_args.data_dir=FOLDER")
    return 0
