"""What the project trains when no command is given."""

import logging
import os
from pathlib import Path

from .cli import CLI
from .data import CIFAR10
from .errors import InputError

CONFIGS = Path(__file__).parents[1] / "configs"
DOWNLOAD_LIMIT_S = 60
log = logging.getLogger(__name__)


def demo() -> None:
    """Train on CIFAR-10 where it is, or can be had, and on handwritten digits elsewhere; on one device."""
    config = CONFIGS / "cifar10.yaml"
    try:
        CIFAR10(download_limit_s=DOWNLOAD_LIMIT_S).prepare_data()
    except InputError as error:
        why = error.__cause__ or error
        log.warning(f"CIFAR-10 is not at hand ({why}): the demo trains on handwritten digits instead")
        config = CONFIGS / "digits.yaml"
    CLI(["fit", "--config", str(config), "--trainer.devices=1", "--test_after_fit=true"])
    photos = os.path.relpath(CONFIGS / "image_folder.yaml")
    log.info(f"      python -m {__package__} fit --config {photos} --data.init_args.data_dir=FOLDER")
