"""LightningCLI with our run folders, and without arguments that leak from one class to another."""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import torch
from jsonargparse import Namespace
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from .. import PACKAGE
from ..config.leaves import import_named
from ..config.linking import Linker, explaining
from ..config.parser import Parser, import_rooms, known_classes
from ..contracts import DataModule, can_predict
from ..errors import InputError, input_error_in
from ..errors.tracebacks import describe_error, keep_traceback
from ..foreign import is_dry
from ..record.record_run import RecordRun, to_plain
from ..refusals import (
    USELESS,
    check_criterion,
    check_parts,
    check_trainer,
    clip_unfused,
    one_line,
)
from ..resume.checkpoints import Checkpoints
from ..resume.restoring import prepare_restore, take_weights, test_once
from ..resume.sharding import is_whole, refuse_folders
from ..runs.folder import LOG, RUN_VARIABLE, checkpoints_by_age, discard_run, reserve_run
from ..runs.job import is_rank_zero, is_restarted
from ..trust.allowed import restrict
from ..trust.masking import HIDDEN, hidden_keys, mask_text
from ..weights import skip_weights
from .additions import as_list, put_first, trainer_arguments
from .console import logged_to, quiet_lightning
from .ending import closing_run, say_next, say_nothing_to_train, say_result
from .memory import keep_memory
from .run_options import expand_run_options

SUBCOMMANDS = ("fit", "validate", "test")
NAMES = "latest, a name or a path"
ALLOW = "--allow PACKAGE: let the config name classes of that package, too."
WITH_RUN = f"--run RUN: the config and best checkpoint of a run ({NAMES}). {ALLOW}"
DESCRIPTIONS: dict[str, Any] = {
    "fit": {
        "description": f"Train. --resume RUN continues a run ({NAMES}), --init_from RUN takes its weights, "
        f"or only those of some parts with --init_modules A,B. {ALLOW}"
    },
    "validate": {"description": f"Validate. {WITH_RUN}"},
    "test": {"description": f"Test. {WITH_RUN}"},
}
log = logging.getLogger(__name__)


def run(args: list[str]) -> int:
    """Run ``fit``, ``validate`` or ``test``.

    Args:
        args: The command line, beginning with the subcommand.
    """
    keep_memory()
    arguments, options = expand_run_options(args)
    CLI(arguments, **options, keep_tracebacks=True)
    return 0


class CLI(LightningCLI):
    """``fit``, ``validate`` and ``test`` of any model and datamodule.

    Class-typed arguments have no default: jsonargparse would pass the default's arguments to another class.

    Args:
        args: Command line, beginning with the subcommand.
        run_folder: Folder of a run to continue; ``None`` makes one, or takes that of the parent process.
        ckpt_path: Checkpoint to restore everything from.
        init_from: Checkpoint to take only weights from: those of ``init_modules``, or all.
        allow: Packages that the config may name besides those that are always allowed.
        keep_tracebacks: Write the traceback of an error to the run's log.
    """

    def __init__(
        self,
        args: list[str],
        *,
        run_folder: Path | None = None,
        ckpt_path: Path | None = None,
        init_from: Path | None = None,
        init_modules: Iterable[str] = (),
        allow: Iterable[str] = (),
        keep_tracebacks: bool = False,
    ) -> None:
        self.keep_tracebacks, self.run_folder = keep_tracebacks, Path()  # set once arguments are parsed
        self.given_folder, self.ckpt_path, self.init_from = run_folder, ckpt_path, init_from
        self.init_modules, self.is_last = tuple(init_modules), True  # the last command of the run
        self.parsers: list[LightningArgumentParser] = []  # of the subcommands, in their order
        quiet_lightning()
        import_rooms()
        restrict(allow, known_classes())
        with _cleaning_up(self), one_line():
            super().__init__(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                parser_class=Parser,
                seed_everything_default=42,
                save_config_callback=None,
                auto_configure_optimizers=False,
                trainer_defaults={"devices": 1},  # a config's lr suits one device's batch
                load_from_checkpoint_support=False,
                parser_kwargs={"prog": PACKAGE.replace("_", "-")} | DESCRIPTIONS,
                args=args,
            )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """LightningCLI's subcommands without ``predict``, which needs no config here."""
        return {key: skip for key, skip in LightningCLI.subcommands().items() if key in SUBCOMMANDS}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        self.parsers.append(parser)
        parser.add_argument("--name", type=str | None, help="Last part of the run folder's name.")
        parser.add_argument("--test_after_fit", type=bool, default=False, help="Test the best checkpoint.")
        parser.add_argument("--num_threads", type=int | None, help="Number of CPU threads for torch.")
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        cast(Parser, parser).hidden = [f"--trainer.{name}" for name in USELESS]

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        import_named(args)
        if args and args[0] in SUBCOMMANDS:
            Linker(self.parsers[SUBCOMMANDS.index(args[0])]).link(args[1:])
        with explaining(args):
            self.config = parser.parse_args(args)

    @property
    def _subparser(self) -> LightningArgumentParser:
        return self.parsers[SUBCOMMANDS.index(str(self.subcommand))]

    def _parse_ckpt_path(self) -> None:
        """Do nothing: the config says what the model is, where LightningCLI would ask the checkpoint."""

    def before_instantiate_classes(self) -> None:
        config = self.config[str(self.subcommand)]
        trains = self.subcommand == "fit" and not (self.ckpt_path or config.ckpt_path)
        check_trainer(config.trainer, trains=trains)
        if clip_unfused(config):
            log.info("the optimizer is not fused, since gradients are clipped in mixed precision")
        self.resolved = deepcopy(config)
        if hidden := hidden_keys(to_plain(self._subparser, config)):
            raise InputError(
                f"expected {hidden[0]}, got {HIDDEN}, since a run's config keeps no secrets; give "
                "it again, in a config or on the command line, or by an environment variable"
            )
        if self.subcommand == "fit":
            refuse_folders(config.trainer.strategy)
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.run_folder = choose_folder(config, self.given_folder)
        os.environ[RUN_VARIABLE] = str(self.run_folder.resolve())
        if self.subcommand == "fit" and is_restarted() and self.ckpt_path is None:
            self.ckpt_path = next(iter(checkpoints_by_age(self.run_folder)), None)
        skip_weights(bool(self.ckpt_path or config.ckpt_path))
        _set_save_dir(config.trainer.logger, self.run_folder)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer = self.config_init[str(self.subcommand)].trainer
        self.record = RecordRun(self._subparser, self.resolved, self.run_folder)
        check_parts(as_list(trainer.callbacks), as_list(trainer.plugins), self.model)
        arguments = trainer_arguments(trainer, self.run_folder, None if trainer.fast_dev_run else self.record)
        try:
            made = super().instantiate_trainer(**arguments, **kwargs)
        except ValueError as error:  # the Trainer refuses an argument, which is the user's
            raise InputError(f"trainer: {error}") from error
        return put_first(made)

    def after_instantiate_classes(self) -> None:
        config = self.config[str(self.subcommand)]
        _check_num_outputs(config.model.get("init_args") or Namespace(), self.datamodule)
        check_criterion(self.model, self.datamodule)
        # LightningCLI passes these on to the Trainer's method.
        self.config_init[str(self.subcommand)].weights_only = True
        if self.subcommand != "fit":
            self.config_init[str(self.subcommand)].verbose = False
        if (given := config.ckpt_path) and given not in ("best", "last", "hpc"):
            self.ckpt_path = Path(given)
        if self.init_from:
            take_weights(self.model, self.init_from, self.init_modules)
        if self.ckpt_path:
            run = self.run_folder if self.subcommand == "fit" else None
            self.ckpt_path = prepare_restore(self.trainer, self.model, self.ckpt_path, run)
            self.config_init[str(self.subcommand)].ckpt_path = str(self.ckpt_path)

    def _run_subcommand(self, subcommand: str) -> None:
        self.execute(subcommand)

    def execute(self, subcommand: str) -> None:
        """Run a subcommand, and record how it ends."""
        if is_dry(self.trainer):
            super()._run_subcommand(subcommand)
            say_result(self.trainer.callback_metrics)
            return
        log_file = self.run_folder / LOG if is_rank_zero() else None
        with logged_to(log_file), closing_run(self.trainer, self.run_folder, self.record):
            super()._run_subcommand(subcommand)
            say_result(self.trainer.callback_metrics)
            if self.is_last:
                is_useful = subcommand == "fit" and can_predict(self.model, self.datamodule)
                say_next(self.run_folder, can_predict=is_useful)

    def after_fit(self) -> None:
        if is_dry(self.trainer):
            return
        if not self.record.has_started:
            say_nothing_to_train(self.trainer)
        if self.config[str(self.subcommand)].test_after_fit and is_whole(self.trainer):
            test_once(self.trainer, self.model, self.datamodule)


@contextlib.contextmanager
def _cleaning_up(cli: CLI) -> Iterator[None]:
    """Restore the environment; remove a new run folder if it is empty or if the input was refused."""
    inherited, was_refused = os.environ.get(RUN_VARIABLE), False
    try:
        yield
    except Exception as error:
        was_refused = isinstance(error, ValueError) and input_error_in(error) is not None
        if cli.run_folder == Path() and isinstance(error, RuntimeError | TypeError | ValueError):
            # Only the user's values were used so far, such as a seed or a number of threads.
            raise error if was_refused else InputError(describe_error(error)) from error
        if cli.keep_tracebacks and cli.run_folder != Path():
            config = to_plain(cli._subparser, cli.resolved)
            keep_traceback(error, cli.run_folder / LOG, lambda text: mask_text(text, config))
        raise
    finally:
        skip_weights(False)
        if inherited is None:
            os.environ.pop(RUN_VARIABLE, None)
            if cli.given_folder is None and cli.run_folder != Path():
                discard_run(cli.run_folder, only_if_empty=not was_refused)


def option_names() -> dict[str, list[str]]:
    """The options of each subcommand, as they are written on the command line."""
    return {name: cast(Parser, parser).options() for name, parser in make_parsers().items()}


def make_parsers() -> dict[str, LightningArgumentParser]:
    """The parser of each subcommand."""

    class ParsersOnly(CLI):
        def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
            made.append(self)
            raise InputError("only the parsers were wanted")

    made: list[CLI] = []
    with contextlib.suppress(InputError):
        ParsersOnly([])
    return dict(zip(SUBCOMMANDS, made[0].parsers, strict=True))


def choose_folder(config: Namespace, given: Path | None) -> Path:
    """The given folder, else the one that ``RUN_VARIABLE`` names, else a new one named after the config."""
    if chosen := given or os.environ.get(RUN_VARIABLE):
        return Path(chosen)
    classes = (str(spec.class_path).rpartition(".")[2] for spec in (config.data, config.model))
    return reserve_run(
        Path(config.trainer.default_root_dir or "runs"), config.name or "-".join(classes).lower()
    )


def _set_save_dir(loggers: Any, run: Path) -> None:
    """Let the config's loggers write into the run's folder, unless the config names another."""
    for logger in as_list(loggers):
        init_args = logger.get("init_args") or {} if isinstance(logger, Namespace) else {}
        if "save_dir" in init_args and init_args["save_dir"] in (None, "", "."):
            init_args["save_dir"] = str(run)


def _check_num_outputs(init_args: Namespace, data: LightningDataModule) -> None:
    expected = data.describe().num_outputs if isinstance(data, DataModule) else None
    for name in ("num_classes", "num_outputs"):
        if (given := init_args.get(name)) is not None and expected is not None and given != expected:
            raise InputError(
                f"expected the data's number of outputs, {expected}, got {name}={given}; "
                "leave it out: the model takes it from the data"
            )
