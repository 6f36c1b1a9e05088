"""Weights & Biases beside a run, which it never ends, holds up or floods with messages."""

import logging
import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal

from lightning_fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from .. import PACKAGE
from ..errors import InputError
from ..loggers import RunLogger
from .server import Server, check_address, probe
from .session import WandbSession

SYNC = "make wandb-sync"
TABLES_LIMIT_S = 10.0
OFF = _DummyExperiment()
log = logging.getLogger(__name__)


class WandbRunLogger(WandbLogger, RunLogger):
    """Logs a run online if its server answers, else into the run's folder, to be uploaded later.

    The server is asked when the first thing is logged; one line says what came of it. From then on nothing
    that befalls server, network, disk or wandb itself reaches the training: a call that fails is dropped, and
    one warning says so. All files are below ``<save_dir>/wandb``. A run that is resumed keeps its id.

    Args:
        save_dir: The run's folder; the command line fills it in.
        project: Project of the run; ``None`` for ``WANDB_PROJECT``, else the name of this package.
        entity: User or team; ``None`` for that of the key.
        base_url: Address of the server, such as ``http://127.0.0.1:8080``; ``None`` for ``WANDB_BASE_URL``,
            else what ``wandb login --host`` stored. Where none is configured the run is offline.
        name: Name of the run; ``None`` for that of its folder.
        group: Group of the run, such as a sweep.
        tags: Tags of the run.
        mode: ``offline`` does not ask the server.

    Attributes:
        first_step: Added to each step; for a test of a checkpoint the step at which it was saved.

    Raises:
        InputError: ``base_url`` is no address, or ``mode`` is another one.
    """

    def __init__(
        self,
        save_dir: str = "",
        project: str | None = None,
        entity: str | None = None,
        base_url: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        mode: Literal["auto", "offline"] = "auto",
    ) -> None:
        if mode not in ("auto", "offline"):
            raise InputError(f"expected mode auto or offline, got {mode!r}; to track nothing drop the logger")
        if base_url is not None:
            check_address(base_url)
        folder = Path(save_dir).resolve()
        project = project or os.environ.get("WANDB_PROJECT") or PACKAGE
        super().__init__(name=name or folder.name, save_dir=folder, project=project)
        self.first_step = 0
        self._options = {"entity": entity, "group": group, "tags": tags}
        self._base_url, self._mode = base_url, mode
        self._session = WandbSession(folder / "wandb", self._hear)
        self._tables: _InOrder | None = None
        self._is_cut = False
        self._warned: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        # For strategies that spawn processes: the first of them opens its own part of the run.
        session = WandbSession(self._session.folder, self._hear)
        return self.__dict__ | {"_experiment": None, "_session": session, "_tables": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of wandb, opened when it is first needed; one that does nothing if that failed."""
        if self._experiment is None:
            self._experiment = self._open()
        return self._experiment

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Add to the config of the run."""
        self._guard(super().log_hyperparams, params)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row, at ``trainer/global_step``."""
        self._guard(super().log_metrics, metrics, None if step is None else step + self.first_step)

    @rank_zero_only
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Log images (PIL, arrays, tensors or figures), with captions as ``caption=[...]``."""
        self._guard(super().log_image, key, images, step, **kwargs)

    @rank_zero_only
    def log_table(self, key: str, *args: Any, **kwargs: Any) -> None:
        """Log a table: ``columns`` and ``data``, or ``dataframe``, and ``step``."""
        call = super().log_table
        if self.experiment is OFF or self._tables is None:
            self._guard(call, key, *args, **kwargs)
        else:
            self._tables.put(lambda: self._guard(call, key, *args, **kwargs))

    @rank_zero_only
    def log_summary(self, values: Mapping[str, float]) -> None:
        """Set numbers of the whole run, such as those of its best epoch."""
        self._guard(lambda: self.experiment.summary.update(dict(values)))

    @rank_zero_only
    def watch(
        self, model: nn.Module, log: str | None = "gradients", log_freq: int = 100, log_graph: bool = True
    ) -> None:
        """Log histograms of gradients or weights."""
        self._guard(super().watch, model, log, log_freq, log_graph)
        if (run := self.experiment) is not OFF:
            # Hooks call it inside the backward pass, which must not fail.
            run._log = lambda *args, _log=run._log, **kwargs: self._guard(_log, *args, **kwargs)

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Nothing: checkpoints stay in the run's folder."""

    def finalize(self, status: str) -> None:
        """Nothing: Lightning calls it after each stage, and a test may follow. See ``finish``."""

    @rank_zero_only
    def finish(self, exit_code: int = 0) -> None:
        """End the run; what is still to be uploaded has ``WANDB_FINISH_TIMEOUT`` seconds, by default 60.

        Args:
            exit_code: 0 for a run that succeeded.
        """
        run = self._experiment
        if run is None or run is OFF:
            return
        if self._tables:
            self._tables.end(TABLES_LIMIT_S)
        try:
            if missing := self._session.finish(run, exit_code):
                self._lose(missing)
            if not self._is_cut:
                self._session.note_upload(run)
        except Exception as error:  # as in _guard
            self._lose(f"the run could not be closed, {_first_line(error)}")
        self._session.close()
        self._experiment = self._tables = None

    def _guard(self, call: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Make a call, or drop it.

        Whatever it raises: wandb raises errors of sockets, of files, of protobuf and of its own, and none of
        them is worth a training.
        """
        if self.experiment is OFF:
            return
        try:
            call(*args, **kwargs)
        except (TypeError, ValueError) as error:
            self._warn_once(_first_line(error))
        except Exception as error:
            self._lose(f"something was not logged, {_first_line(error)}")

    def _lose(self, what: str) -> None:
        """Say, once, that not all of the run will be on the server."""
        if not self._is_cut:
            self._is_cut = True
            log.warning(
                f"Weights & Biases: {what}; training goes on, all numbers are in the run's folder; "
                f"upload the rest later: {SYNC}"
            )

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            log.warning(f"Weights & Biases: {message}")

    def _hear(self, message: str) -> None:
        """Take what wandb would print."""
        message = message.removeprefix("wandb: ").removeprefix("WARNING ").removeprefix("ERROR ")
        if message.startswith(("Fatal error", "Timed out")):
            self._lose(message.partition(".")[0])
        else:
            self._warn_once(message)

    def _open(self) -> Any:
        """The run online, else offline, else one that does nothing; a line says which."""
        if os.environ.get("WANDB_MODE") == "disabled":
            log.info("Weights & Biases: off, as WANDB_MODE says")
            return OFF
        self._is_cut = False
        try:
            options = {"id": self._session.reserve(), "name": self._name, "project": self._project}
            options |= {"dir": self._save_dir, **self._options}
        except OSError as error:
            return self._give_up(error)
        self._id = options["id"]
        server = self._find_server()
        if not server.problem:
            try:
                run = self._session.open(server, **options)
            except OSError as error:  # of the disk, or of wandb's process: offline would fare no better
                return self._give_up(error)
            except Exception as error:  # as in _guard
                problem = f"{server.url} opens no run ({_first_line(error)})"
                server = Server(server.url, problem=problem)
            else:
                # wandb asks the server about each table, for 1 s if it is gone by then.
                self._tables = _InOrder()
                log.info(f"Weights & Biases: online, {run.url}")
                return run
        try:
            run = self._session.open(None, **options)
        except Exception as error:  # as in _guard
            return self._give_up(error)
        level = logging.WARNING if server.url else logging.INFO
        log.log(level, f"Weights & Biases: offline, because {server.problem}; upload later: {SYNC}")
        return run

    def _find_server(self) -> Server:
        if self._mode == "offline" or os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
            return Server(problem="that is the mode")
        return probe(self._base_url)

    def _give_up(self, error: Exception) -> Any:
        log.warning(
            f"Weights & Biases: nothing is logged there, {_first_line(error)}; training goes on, all numbers "
            f"are in metrics.csv, but {SYNC} will not find this run"
        )
        self._session.close()
        return OFF


class _InOrder(Thread):
    """A thread that makes calls one after another, so that nobody waits for them."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.put = self._calls.put
        self.start()

    def run(self) -> None:
        for call in iter(self._calls.get, None):
            call()

    def end(self, limit_s: float) -> None:
        """Wait until all calls are made, but not longer than the limit."""
        self._calls.put(None)
        self.join(limit_s)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
