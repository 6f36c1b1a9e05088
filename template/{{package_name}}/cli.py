"""LightningCLI, repaired: no argument outlives its class, and the run folder is ours."""

import contextlib
import logging
import os
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from . import callbacks, data, metrics, model  # noqa: F401 # their classes are found by their short names
from .callbacks import Checkpoints, EpochSummary
from .errors import InputError
from .loggers import RunFolderLogger
from .model import BaseModel, load_checkpoint
from .model.checkpoint import check_weights
from .runs import CONFIG, LOG, find_checkpoint, find_run, reserve_run, write_description

SUBCOMMANDS = ("fit", "validate", "test")
# Processes that Lightning starts for further devices inherit it and so share the folder.
RUN_VARIABLE = "DL_RUN_FOLDER"


class Parser(LightningArgumentParser):
    """Reports what is wrong as one line."""

    def error(self, message: str, ex: Exception | None = None) -> None:  # type: ignore[override]
        lines = [line.strip(" -") for line in str(message).splitlines() if line.strip()]
        raise InputError("; ".join(lines[:4])) from ex


class RecordRun(Callback):
    """Writes the resolved config, and what is known about the run, when it starts."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace, run: Path) -> None:
        self.parser, self.config, self.run = parser, config, run

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not trainer.is_global_zero:
            return
        if stage == "fit" or not (self.run / CONFIG).exists():
            text = self.parser.dump(self.config, skip_none=False, format="yaml")
            (self.run / CONFIG).write_text(text)
        seed = os.environ.get("PL_GLOBAL_SEED")
        write_description(self.run, stage=stage, seed=seed, world_size=trainer.world_size)


class CLI(LightningCLI):
    """``fit``, ``validate`` and ``test`` of any model and datamodule.

    Class-typed arguments have no default anywhere and get none here: jsonargparse would carry the
    arguments of the default class over to the class that the user chooses.

    Args:
        args: Command line, beginning with the subcommand.
        run_folder: Folder of a run to go on with; ``None`` makes one.
        ckpt_path: Checkpoint of which everything is restored.
        init_from: Checkpoint of which only the weights are taken.
    """

    def __init__(
        self,
        args: list[str],
        *,
        run_folder: Path | None = None,
        ckpt_path: Path | None = None,
        init_from: Path | None = None,
    ) -> None:
        self.run_folder, self.ckpt_path, self.init_from = run_folder, ckpt_path, init_from
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            parser_class=Parser,
            seed_everything_default=42,
            save_config_callback=None,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Those of LightningCLI without ``predict``, which needs no config here."""
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name in SUBCOMMANDS}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, help="Last part of the run folder's name.")
        parser.add_argument("--test_after_fit", type=bool, default=False, help="Test the best checkpoint at the end.")
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        parser.link_arguments("data.num_classes", "model.init_args.num_classes", apply_on="instantiate")
        parser.link_arguments("data.in_channels", "model.init_args.in_channels", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Nothing: the config says what the model is; LightningCLI would take it from the checkpoint."""

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        self.resolved = deepcopy(config)
        inherited = os.environ.get(RUN_VARIABLE)
        if self.run_folder is None and inherited:
            self.run_folder = Path(inherited)
        elif self.run_folder is None:
            name = config.name or f"{_class_name(config.data)}-{_class_name(config.model)}".lower()
            self.run_folder = reserve_run(Path(config.trainer.default_root_dir or "runs"), name)
        os.environ[RUN_VARIABLE] = str(self.run_folder.resolve())
        for logger in _as_list(config.trainer.logger):
            init_args = getattr(logger, "init_args", {})
            if "save_dir" in init_args and init_args["save_dir"] in (None, "", "."):
                init_args["save_dir"] = str(self.run_folder)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer = self._get(self.config_init, "trainer")
        own = [RecordRun(self._parser(self.subcommand), self.resolved, self.run_folder), EpochSummary()]
        if in_terminal := sys.stderr.isatty():
            own.append(TQDMProgressBar(refresh_rate=20))
        return super().instantiate_trainer(
            default_root_dir=str(self.run_folder),
            logger=[RunFolderLogger(self.run_folder), *_as_list(trainer.logger)],
            callbacks=[*_as_list(trainer.callbacks), *own],
            enable_progress_bar=in_terminal and trainer.enable_progress_bar is not False,
            **kwargs,
        )

    def after_instantiate_classes(self) -> None:
        _log_to(self.run_folder / LOG)
        given = self._get(self.config, "ckpt_path")
        if given and given not in ("best", "last", "hpc"):
            self.ckpt_path = Path(given)
        for path in filter(None, (self.ckpt_path, self.init_from)):
            checkpoint = load_checkpoint(path)
            if isinstance(self.model, BaseModel):
                check_weights(self.model, checkpoint, path)
        if self.init_from:
            self.model.load_state_dict(load_checkpoint(self.init_from)["state_dict"])

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if self.ckpt_path:
            kwargs["ckpt_path"] = str(self.ckpt_path)
        return {**kwargs, "weights_only": True} | ({} if subcommand == "fit" else {"verbose": False})

    def after_fit(self) -> None:
        has_test = getattr(self.datamodule, "has_test", lambda: True)
        if self._get(self.config, "test_after_fit") and has_test() and not self.trainer.fast_dev_run:
            best = find_checkpoint(self.run_folder, prefer="best")
            self.trainer.test(self.model, self.datamodule, ckpt_path=str(best), weights_only=True, verbose=False)


def default_args(args: list[str]) -> tuple[list[str], dict[str, Path]]:
    """Replace ``--resume``, ``--init_from`` and ``--run`` by the config and checkpoint that they name.

    Args:
        args: Command line, beginning with a subcommand.

    Returns:
        The command line that :class:`CLI` parses, and its keyword arguments.

    Raises:
        InputError: There is no such run or checkpoint, or the option does not belong to the subcommand.
    """
    subcommand, rest = args[0], list(args[1:])
    options = {"fit": ("--resume", "--init_from")}.get(subcommand, ("--run",))
    given = {name: value for name in options if (value := _take(rest, name)) is not None}
    if len(given) > 1:
        raise InputError(f"expected one of {' and '.join(given)}, got both; choose one")
    if not given:
        return args, {}
    option, which = next(iter(given.items()))
    run = find_run(which, Path(_value_of(rest, "--trainer.default_root_dir") or "runs"))
    is_file = Path(which).is_file()
    checkpoint = Path(which) if is_file else find_checkpoint(run, "last" if option == "--resume" else "best")
    has_config = _value_of(rest, "--config") or _value_of(rest, "-c")
    base = [] if option == "--init_from" and has_config else ["--config", str(run / CONFIG)]
    if option == "--init_from":
        return [subcommand, *base, *rest], {"init_from": checkpoint}
    return [subcommand, *base, *rest], {"run_folder": run, "ckpt_path": checkpoint}


@contextlib.contextmanager
def run_environment() -> Any:
    """Quiet what is known to be harmless, and leave environment, handlers and empty folders as they were."""
    warnings.filterwarnings("ignore", ".*does not have many workers.*")  # batches are fetched whole
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # between Lightning and torch
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")  # resumed runs
    outer = os.environ.get(RUN_VARIABLE)
    loggers = [logging.getLogger(name) for name in (__package__, "pytorch_lightning", "py.warnings")]
    before = [list(logger.handlers) for logger in loggers]
    try:
        yield
    finally:
        run = os.environ.pop(RUN_VARIABLE, None)
        if outer:
            os.environ[RUN_VARIABLE] = outer
        for logger, handlers in zip(loggers, before, strict=True):
            for handler in [handler for handler in logger.handlers if handler not in handlers]:
                logger.removeHandler(handler)
                handler.close()
        if run and not outer:
            with contextlib.suppress(OSError):
                Path(run).rmdir()  # only if nothing was written


def _log_to(path: Path) -> None:
    """Copy what is logged to a file."""
    handler = logging.FileHandler(path, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.captureWarnings(True)
    for name in (__package__, "pytorch_lightning", "py.warnings"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)


def _class_name(spec: Namespace) -> str:
    return str(spec.class_path).rpartition(".")[2]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, True, False) else [value]


def _value_of(args: list[str], option: str) -> str | None:
    return _take(list(args), option)


def _take(args: list[str], option: str) -> str | None:
    """Remove ``option VALUE`` or ``option=VALUE`` from ``args`` and return the value."""
    for number, arg in enumerate(args):
        if arg.startswith(f"{option}="):
            return args.pop(number).partition("=")[2]
        if arg == option:
            if number + 1 == len(args):
                raise InputError(f"expected a value after {option}, got none")
            args.pop(number)
            return args.pop(number)
    return None
