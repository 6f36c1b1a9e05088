"""The commands, and the demo."""

import ctypes
import errno
import logging
import os
import sys
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from .cli import CLI, SUBCOMMANDS, default_args, run_environment
from .data import CIFAR10
from .errors import InputError, input_error_in
from .predict import predict
from .runs import CHECKPOINTS, METRICS, find_checkpoint, find_run

CONFIGS = Path(__file__).parents[1] / "configs"
DEMO_DOWNLOAD_LIMIT_S = 60
log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Run a command, or the demo if there is none.

    Returns:
        Exit status; what went wrong stands on one line of standard error.
    """
    _show_log()
    _keep_memory()
    try:
        with run_environment():
            return _dispatch(args)
    except MisconfigurationException as error:
        return _fail(str(error))
    except ValueError as error:
        if (cause := input_error_in(error)) is None:
            raise
        return _fail(str(cause))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        return _fail(
            f"expected to write {error.filename or 'the run folder'}, got: {error.strerror}; free space and "
            "go on with fit --resume latest: the checkpoints that are there are whole"
        )
    except KeyboardInterrupt:
        _fail("interrupted; go on with fit --resume latest")
        return 130


def _dispatch(args: list[str]) -> int:
    if not args:
        return _demo()
    command, rest = args[0], args[1:]
    if command in SUBCOMMANDS:
        arguments, options = default_args(args)
        _report(_run_cli(arguments, options))
        return 0
    if command == "predict":
        return predict(rest)
    if command == "completion":
        return _completion(rest)
    if command.startswith("-"):
        return _fail(f"expected a command before {command}, such as fit; see --help")
    return _fail(f"expected one of {', '.join(SUBCOMMANDS)}, predict, completion, got {command!r}; see --help")


def _run_cli(args: list[str], options: dict[str, Any]) -> CLI:
    try:
        return CLI(args, **options)
    except SystemExit as stop:  # --help, --print_config
        if stop.code not in (0, None):
            raise
        sys.exit(0)


def _demo() -> int:
    config = CONFIGS / "cifar10.yaml"
    try:
        CIFAR10(download_limit_s=DEMO_DOWNLOAD_LIMIT_S).prepare_data()
    except InputError as error:
        reason = str(error.__cause__ or error)
        log.warning("CIFAR-10 is not at hand (%s): the demo runs on handwritten digits instead", reason)
        config = CONFIGS / "digits.yaml"
    arguments = ["fit", "--config", str(config), "--trainer.devices=1", "--test_after_fit=true"]
    _report(_run_cli(arguments, {}), next_command=f"fit --config {os.path.relpath(CONFIGS / 'image_folder.yaml')}")
    return 0


@rank_zero_only
def _report(cli: CLI, next_command: str | None = None) -> None:
    """Say what came out, where everything lies, and what to do next."""
    run_folder = cli.run_folder
    if run_folder is None or cli.trainer.fast_dev_run:
        return
    values = {
        key: float(value) for key, value in sorted(cli.trainer.callback_metrics.items()) if "/" in key
    }
    split = "test/" if any(key.startswith("test/") for key in values) else "val/"
    shown = "  ".join(f"{key} {value:.4f}" for key, value in values.items() if key.startswith(split))
    log.info("%s", shown or "no metrics")
    folder = os.path.relpath(run_folder)
    log.info("all in %s: config.yaml, %s, log.txt, %s/", folder, METRICS, CHECKPOINTS)
    if cli.subcommand == "fit":
        log.info("next: python -m %s predict %s FOLDER_OF_IMAGES", __package__, folder)
        if next_command:
            log.info("      python -m %s %s", __package__, next_command)


def _completion(args: list[str]) -> int:
    if len(args) != 1 or args[0] not in ("bash", "zsh"):
        return _fail("expected completion bash or completion zsh; put its output where your shell looks for it")
    from importlib.util import find_spec

    if find_spec("shtab") is None:
        return _fail("expected the package shtab, which is part of the dev dependencies; run make init")
    CLI([f"--print_shtab={args[0]}"])
    return 0


def _fail(message: str) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _show_log() -> None:
    """Print what this package logs, as plain lines, unless the caller has set up logging."""
    logger = logging.getLogger(__package__)
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        for console in logging.getLogger(name).handlers:
            console.setLevel(logging.WARNING)  # the rest goes to the run's log file


def _keep_memory() -> None:
    """Let glibc keep freed blocks: activations are else paged in anew at each step, 6 to 20 % of a step on CPUs."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt:
            mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
            mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD


__all__ = ["find_checkpoint", "find_run", "run"]
