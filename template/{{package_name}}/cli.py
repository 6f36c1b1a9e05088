"""LightningCLI, repaired: no argument outlives its class, and the run folder is ours."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from jsonargparse import Namespace
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.utilities import rank_zero_only

from . import compat, data  # noqa: F401 # classes that are imported are found by their short names
from .allowed import restrict
from .callbacks import (
    AtomicCheckpoints,
    Checkpoints,
    EpochSummary,
    Preemption,
    RandomState,
    RecordRun,
    ReportPage,
)
from .callbacks.record_run import to_plain
from .console import logged_to
from .errors import InputError, input_error_in
from .loggers import RunFolderLogger, WandbRunLogger, log_summary
from .masking import HIDDEN, hidden_keys
from .model import BaseModel, load_checkpoint
from .model.checkpoint import check_weights
from .parser import Parser, known_classes
from .runs import (
    CHECKPOINTS,
    CONFIG,
    LOG,
    METRICS,
    REPORT,
    checkpoints_by_age,
    discard_run,
    is_rank_zero,
    is_restarted,
    reserve_run,
    write_outcome,
)

SUBCOMMANDS = ("fit", "validate", "test")
NAMES = "latest, a name or a path"
ALLOW = "--allow PACKAGE: let the config name classes of it, too."
WITH_RUN = f"--run RUN: the config and best checkpoint of a run ({NAMES}). {ALLOW}"
DESCRIPTIONS: dict[str, Any] = {
    "fit": {
        "description": f"Train. --resume RUN goes on with a run ({NAMES}), --init_from RUN takes its weights."
        f" {ALLOW}"
    },
    "validate": {"description": f"Validate. {WITH_RUN}"},
    "test": {"description": f"Test. {WITH_RUN}"},
}
# Processes that Lightning starts for further devices inherit it and so share the folder.
RUN_VARIABLE = "DL_RUN_FOLDER"
log = logging.getLogger(__name__)


class CLI(LightningCLI):
    """``fit``, ``validate`` and ``test`` of any model and datamodule.

    Class-typed arguments have no default anywhere and get none here: jsonargparse would carry the
    arguments of the default class over to the class that the user chooses.

    Args:
        args: Command line, beginning with the subcommand.
        run_folder: Folder of a run to go on with; ``None`` makes one.
        ckpt_path: Checkpoint of which everything is restored.
        init_from: Checkpoint of which only the weights are taken.
        allow: Packages that the config may name beside those of ``allowed``.
    """

    def __init__(
        self,
        args: list[str],
        *,
        run_folder: Path | None = None,
        ckpt_path: Path | None = None,
        init_from: Path | None = None,
        allow: Iterable[str] = (),
    ) -> None:
        self.given_folder, self.ckpt_path, self.init_from = run_folder, ckpt_path, init_from
        self.run_folder = Path()  # known when the arguments are
        if find_spec("pl_bolts"):  # before a config names one of its classes
            compat.install()
        restrict(allow, known_classes())
        with self._cleanup():
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
                parser_kwargs={"prog": str(__package__).replace("_", "-")} | DESCRIPTIONS,
                args=args,
            )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Those of LightningCLI without ``predict``, which needs no config here."""
        return {key: skip for key, skip in LightningCLI.subcommands().items() if key in SUBCOMMANDS}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str | None, help="Last part of the run folder's name.")
        parser.add_argument(
            "--test_after_fit", type=bool, default=False, help="Test the best one at the end."
        )
        parser.add_argument("--num_threads", type=int | None, help="Threads of torch on the CPU.")
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        for name in ("num_classes", "in_channels"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Nothing: the config says what the model is; LightningCLI would ask the checkpoint."""

    def before_instantiate_classes(self) -> None:
        config = self.config[str(self.subcommand)]
        self.resolved = deepcopy(config)
        if hidden := hidden_keys(to_plain(self._parser(self.subcommand), config)):
            raise InputError(
                f"expected {hidden[0]}, got {HIDDEN}, since no secret is kept in a run's config; give "
                "it again, in a config or on the command line, or by an environment variable"
            )
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        self.run_folder = self._choose_folder(config)
        os.environ[RUN_VARIABLE] = str(self.run_folder.resolve())
        if self.subcommand == "fit" and is_restarted() and self.ckpt_path is None:
            self.ckpt_path = next(iter(checkpoints_by_age(self.run_folder)), None)
        for logger in _as_list(config.trainer.logger):
            init_args = getattr(logger, "init_args", {})
            if "save_dir" in init_args and init_args["save_dir"] in (None, "", "."):
                init_args["save_dir"] = str(self.run_folder)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer = self._get(self.config_init, "trainer")
        parser = self._parser(self.subcommand)
        own: list[Callback] = [EpochSummary(), RandomState(), Preemption()]
        if not trainer.fast_dev_run:
            self.record = RecordRun(parser, self.resolved, self.run_folder)
            self.page = ReportPage(self.run_folder)
            own += [self.record, self.page]
        if in_terminal := sys.stderr.isatty():
            own.append(TQDMProgressBar(refresh_rate=20))
        try:
            return super().instantiate_trainer(
                default_root_dir=str(self.run_folder),
                logger=[RunFolderLogger(self.run_folder), *_as_list(trainer.logger)],
                callbacks=[*_as_list(trainer.callbacks), *own],
                plugins=[*_as_list(trainer.plugins), AtomicCheckpoints(), *_environment()],
                enable_progress_bar=in_terminal and trainer.enable_progress_bar is not False,
                **kwargs,
            )
        except ValueError as error:  # the Trainer checks its arguments, and they are the user's
            raise InputError(f"trainer: {error}") from error

    def after_instantiate_classes(self) -> None:
        if any(cls.__module__.startswith("pl_bolts.") for cls in type(self.datamodule).__mro__):
            raise InputError("expected BoltsData around what is of lightning-bolts; see configs/bolts.yaml")
        wanted = self.config[str(self.subcommand)].model.init_args.get("num_classes")
        if wanted not in (None, num_classes := getattr(self.datamodule, "num_classes", wanted)):
            raise InputError(
                f"expected the data's number of classes, {num_classes}, got num_classes={wanted}; "
                "leave it out: the model takes it from the data"
            )
        given = self._get(self.config, "ckpt_path")
        if given and given not in ("best", "last", "hpc"):
            self.ckpt_path = Path(given)
        for path in filter(None, (self.ckpt_path, self.init_from)):
            path, checkpoint = self._load_newest(path)
            if isinstance(self.model, BaseModel):
                check_weights(self.model, checkpoint, path)
            if self.init_from:
                self.model.load_state_dict(checkpoint["state_dict"])
                continue
            self.ckpt_path = path
            if self.subcommand == "fit":
                cast(RunFolderLogger, self.trainer.logger).forget_from(checkpoint["global_step"])
            else:
                self._begin_steps_at(checkpoint["global_step"])

    def _load_newest(self, path: Path) -> tuple[Path, dict[str, Any]]:
        """The checkpoint at ``path``; where a run is resumed and it is bad, the newest good one."""
        others = (
            checkpoints_by_age(self.run_folder) if self.subcommand == "fit" and not self.init_from else []
        )
        for other in [path, *(other for other in others if other != path)]:
            try:
                return other, load_checkpoint(other)
            except InputError as error:
                if not others or other == others[-1]:
                    raise
                log.warning(f"{error}: trying the one before")
        raise AssertionError("the last one was returned or refused")

    def _run_subcommand(self, subcommand: str) -> None:
        with logged_to(self.run_folder / LOG if is_rank_zero() and not self._is_dry() else None):
            exit_code, outcome = 1, "failed"
            try:
                super()._run_subcommand(subcommand)
                self._report()
                exit_code, outcome = 0, "finished"
            except SystemExit as stop:  # Lightning's, after an interrupt, or ours, when it was asked to go
                if interrupted := stop.code == 1 and self.trainer.interrupted:
                    outcome = "interrupted"
                elif not stop.code:
                    outcome = "stopped"
                exit_code = 130 if interrupted else int(stop.code or 0)
                raise SystemExit(exit_code) from None
            finally:
                self._finish(exit_code, outcome)

    @rank_zero_only
    def _finish(self, exit_code: int, outcome: str) -> None:
        """Give the trackers what came out, also of a run that failed, and close them."""
        if self._is_dry():
            return
        values = {key: float(value) for key, value in self.trainer.callback_metrics.items()}
        callback = cast(Checkpoints, self.trainer.checkpoint_callback)
        if callback and callback.best_model_score is not None:
            values[f"best/{callback.monitor}"] = float(callback.best_model_score)
        write_outcome(self.run_folder, outcome)
        self.page.write(self.trainer)
        for logger in self.trainer.loggers:
            log_summary(logger, self.record.plain_config(), values)
            if isinstance(logger, WandbRunLogger):
                logger.finish(exit_code)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if self.ckpt_path:
            kwargs["ckpt_path"] = str(self.ckpt_path)
        return {**kwargs, "weights_only": True} | ({} if subcommand == "fit" else {"verbose": False})

    def after_fit(self) -> None:
        if self._is_dry():
            return
        logger = cast(RunFolderLogger, self.trainer.logger)
        if not self.record.has_started:
            log.info("nothing to train: all epochs are done; to train longer: fit --init_from RUN")
        has_test = getattr(self.datamodule, "has_test", lambda: True)
        if self._get(self.config, "test_after_fit") and not logger.has_test() and has_test():
            callback = cast(Checkpoints, self.trainer.checkpoint_callback)
            best = callback.best_model_path or callback.last_model_path
            step = load_checkpoint(best)["global_step"]
            self._begin_steps_at(step - self.trainer.global_step)
            data = self.datamodule
            self.trainer.test(self.model, data, ckpt_path=best, weights_only=True, verbose=False)

    def _begin_steps_at(self, step: int) -> None:
        """Let a test's numbers and pictures bear the step of the checkpoint that is tested."""
        for logger in self.trainer.loggers:
            if isinstance(logger, RunFolderLogger | WandbRunLogger):
                logger.first_step = step

    @rank_zero_only
    def _report(self) -> None:
        """Say what came out, where everything lies, and what to do next."""
        values = {key: float(value) for key, value in sorted(self.trainer.callback_metrics.items())}
        tested = any(key.startswith("test/") for key in values)
        split = "test" if tested else "val"
        shown = [key for key in values if key.startswith(split) and key.count("/") == 1]
        if shown:
            log.info("  ".join(f"{key} {values[key]:.4f}" for key in shown))
        if not self._is_dry():
            folder = os.path.relpath(self.run_folder)
            log.info(f"all in {folder}: {REPORT}, {CONFIG}, {METRICS}, {LOG}, {CHECKPOINTS}/")
            log.info(f"next: python -m {__package__} report {folder}")
            if self.subcommand == "fit":
                log.info(f"      python -m {__package__} predict {folder} FOLDER_OF_IMAGES")

    def _is_dry(self) -> bool:
        return bool(getattr(self.trainer, "fast_dev_run", 0))

    def _choose_folder(self, config: Namespace) -> Path:
        if chosen := self.given_folder or os.environ.get(RUN_VARIABLE):
            return Path(chosen)
        name = f"{_class_name(config.data)}-{_class_name(config.model)}".lower()
        return reserve_run(Path(config.trainer.default_root_dir or "runs"), config.name or name)

    @contextlib.contextmanager
    def _cleanup(self) -> Iterator[None]:
        """Leave no variable behind, and no folder of a run that the input did not allow."""
        inherited, was_refused = os.environ.get(RUN_VARIABLE), False
        try:
            yield
        except ValueError as error:
            was_refused = input_error_in(error) is not None
            raise
        finally:
            if inherited is None:
                os.environ.pop(RUN_VARIABLE, None)
                if self.given_folder is None and self.run_folder != Path():
                    discard_run(self.run_folder, only_if_empty=not was_refused)


def option_names() -> dict[str, list[str]]:
    """The options of each subcommand, as they are written on the command line."""

    class Parsers(CLI):
        def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
            for name, subparser in self._subcommand_parsers.items():
                names = (option for action in subparser._actions for option in action.option_strings)
                options[name] = [option for option in names if option.startswith("--")]
            raise InputError("only the parsers were wanted")

    options: dict[str, list[str]] = {}
    with contextlib.suppress(InputError):
        Parsers([])
    return options


def _environment() -> list[SLURMEnvironment]:
    """SLURM's where it runs this, without Lightning's handler of signals: see ``Preemption``."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def _class_name(spec: Namespace) -> str:
    return str(spec.class_path).rpartition(".")[2]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, True, False) else [value]
