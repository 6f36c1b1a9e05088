"""Logs a run to Weights & Biases, and never ends it, holds it up or floods it with messages."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from .. import PACKAGE
from ..errors import InputError
from ..loggers import RunLogger
from .in_order import InOrder
from .notices import Notices, first_line
from .opening import OFF, open_run
from .server import check_address
from .session import WandbSession

TABLES_LIMIT_S = 10.0


class WandbRunLogger(WandbLogger, RunLogger):
    """Logs a run online if its server answers, else into the run's folder, to be uploaded later.

    The server is asked when the first thing is logged; one line gives the outcome. From then on no failure
    of the server, the network, the disk or wandb itself reaches the training: a call that fails is dropped,
    and one warning says so. All files are below ``<save_dir>/wandb``. A run that is resumed keeps its id.

    Args:
        save_dir: The run's folder; the command line fills it in.
        project: Project of the run; ``None`` for ``WANDB_PROJECT``, else the name of this package.
        entity: User or team; ``None`` for that of the key.
        base_url: Address of the server, such as ``http://127.0.0.1:8080``; ``None`` for ``WANDB_BASE_URL``,
            else what ``wandb login --host`` stored. If none is configured, the run is offline.
        name: Name of the run; ``None`` for that of its folder.
        group: Group of the run, such as a sweep.
        tags: Tags of the run.
        mode: ``offline`` does not ask the server.

    Raises:
        InputError: ``base_url`` is not an address, or ``mode`` is unknown.
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
            raise InputError(f"expected mode auto or offline, got {mode!r}; for none, remove the logger")
        if base_url is not None:
            check_address(base_url)
        folder = Path(save_dir).resolve()
        project = project or os.environ.get("WANDB_PROJECT") or PACKAGE
        super().__init__(name=name or folder.name, save_dir=folder, project=project)
        self._options = {"name": name or folder.name, "project": project, "dir": str(folder)}
        self._options |= {"entity": entity, "group": group, "tags": tags}
        self._base_url, self._mode = base_url, mode
        self._notices = Notices()
        self._session = WandbSession(folder / "wandb", self._notices.take)
        self._tables: InOrder | None = None

    def __getstate__(self) -> dict[str, Any]:
        # For strategies that spawn processes: the first of them opens its own part of the run.
        session = WandbSession(self._session.folder, self._notices.take)
        return self.__dict__ | {"_experiment": None, "_session": session, "_tables": None}

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The wandb run, opened when it is first needed; one that does nothing if opening failed."""
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
            # Hooks call it inside the backward pass, which must not fail; ``finish`` puts it back.
            run._log = lambda *args, _log=run._log, **kwargs: self._guard(_log, *args, **kwargs)

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Do nothing: checkpoints stay in the run's folder."""

    def finalize(self, status: str) -> None:
        """Do nothing: Lightning calls this after each stage, and a test may follow. See ``finish``."""

    @rank_zero_only
    def finish(self, exit_code: int = 0) -> None:
        """End the run, after at most ``WANDB_FINISH_TIMEOUT`` seconds (60 by default) of uploading."""
        run = self._experiment
        if run is None or run is OFF:
            return
        if self._tables:
            self._tables.end(TABLES_LIMIT_S)
        vars(run).pop("_log", None)  # that of ``watch``
        try:
            if missing := self._session.finish(run, exit_code):
                self._notices.lose(missing)
            if not self._notices.is_cut:
                self._session.note_upload(run)
        except Exception as error:  # as in _guard
            self._notices.lose(f"the run could not be closed, {first_line(error)}")
        self._session.close()
        self._experiment = self._tables = None

    def _guard(self, call: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Make a call; drop it, whatever it raises.

        wandb raises errors of sockets, of files, of protobuf and of its own, and none of them may end a
        training.
        """
        if self.experiment is OFF:
            return
        try:
            call(*args, **kwargs)
        except (TypeError, ValueError) as error:
            self._notices.warn_once(first_line(error))
        except Exception as error:
            self._notices.lose(f"something was not logged, {first_line(error)}")

    def _open(self) -> Any:
        self._notices.is_cut = False
        run = open_run(self._session, self._base_url, self._mode, self._options)
        self._id = self._session.run_id or None
        if self._session.is_online:
            self._tables = InOrder()  # wandb asks the server about each table, for 1 s if it is gone by then
        return run
