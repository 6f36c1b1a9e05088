"""A wandb run in this process: opened and closed within time limits, leaving nothing to the next one."""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ..trust.masking import mask_words
from .server import RUN_ID, Server, bounded, marker_of, trouble_in

# At worst 3 s for the probe, these two together, and 5 s for a run offline: ready within 25 s.
INIT_TIMEOUT_S = 10.0
GRACE_S = 5.0  # for wandb to keep its own limits, and for its process
FINISH_TIMEOUT_S = 60.0


class WandbSession:
    """Opens a run, closes it, and restores the process to what it was.

    Args:
        folder: Folder for all files of wandb, named ``wandb``.
        warn: Called with each warning that wandb would print.

    Attributes:
        is_online: Whether the open run is on a server.
        run_id: Id of the run; empty before ``reserve``.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.folder, self.warn, self.is_online, self.run_id = folder, warn, False, ""
        self._lock: Any = None
        self._environment: dict[str, str | None] = {}
        self._marker: Path | None = None
        self._handlers: list[logging.Handler] = []

    def reserve(self) -> str:
        """The id of the run, kept in a file of its folder that is locked until the run is closed.

        Raises:
            OSError: The folder cannot be written. (wandb would write to another one.)
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / RUN_ID).open("a+", encoding="utf-8")
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._lock.seek(0)
        if not (run_id := self._lock.read().strip()):
            run_id = secrets.token_hex(4)
            self._lock.write(run_id)
            self._lock.flush()
        self.run_id = run_id
        return run_id

    def open(self, server: Server | None, **options: Any) -> Any:
        """Open a wandb run.

        Args:
            server: The server of an online run; ``None`` for offline.
            options: Arguments of ``wandb.init``.

        Raises:
            Exception: Of any kind; then nothing is left of the run.
        """
        self._set_environment(server)
        wandb = _import_wandb()
        settings = _settings(server)

        def start() -> Any:
            wandb.setup(wandb.Settings(silent=True))
            wandb.termsetup(wandb.Settings(silent=True), _Terminal(self.warn))
            run = wandb.init(settings=settings, resume="allow", reinit="finish_previous", **options)
            run.define_metric("trainer/global_step")
            run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
            if server:
                with contextlib.suppress(Exception):
                    # Else the first table asks for it, and is lost if the server is gone by then.
                    run._public_api()
            return run

        with self._no_tracebacks(), _no_secrets(), self._no_remains():
            run = bounded(start, INIT_TIMEOUT_S + GRACE_S)
        self.is_online = bool(server)
        return run

    def finish(self, run: Any, exit_code: int) -> str:
        """End a run, and return what is missing on its server or on the disk, or an empty string.

        Raises:
            Exception: Of any kind; then the upload was cut short.
        """
        bounded(lambda: run.finish(exit_code), _finish_timeout() + GRACE_S)
        return trouble_in(Path(run.settings.log_internal))

    def note_upload(self, run: Any) -> None:
        """Have ``close`` mark a run that is online as uploaded."""
        if self.is_online:
            self._marker = marker_of(Path(run.settings.sync_file))

    def close(self) -> None:
        """Leave nothing to the next run of this process: no service, no variable, no lock."""
        self.is_online = False
        _teardown()
        for handler in self._handlers:
            vars(handler).pop("handleError", None)  # the method of its class is back
        self._handlers = []
        if self._marker:  # not earlier: wandb's process writes to the file until it ends
            with contextlib.suppress(OSError):
                self._marker.touch()
        self._marker = None
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._environment = {}
        if self._lock:
            with contextlib.suppress(OSError):
                self._lock.close()

    def _set_environment(self, server: Server | None) -> None:
        """Settings that ``wandb.init`` does not take."""
        wanted = {
            "WANDB_DATA_DIR": str(self.folder / "data"),
            "WANDB_CACHE_DIR": str(self.folder / "cache"),
            "WANDB_ERROR_REPORTING": "false",  # telemetry
            "WANDB_HTTP_TIMEOUT": "1",  # for the question about each table, see WandbRunLogger
        } | ({"WANDB_BASE_URL": server.url} if server else {})
        self._environment = {name: os.environ.get(name) for name in wanted} | self._environment
        os.environ.update(wanted)

    @contextlib.contextmanager
    def _no_tracebacks(self) -> Iterator[None]:
        """Until ``close``, Python prints no traceback for lines that wandb cannot write to its own log."""
        before, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            yield
        finally:
            logging.raiseExceptions = before
            self._handlers = list(logging.getLogger("wandb").handlers)
            for handler in self._handlers:
                handler.handleError = lambda record: None

    @contextlib.contextmanager
    def _no_remains(self) -> Iterator[None]:
        before = set(self.folder.glob("*run-*"))
        try:
            yield
        except BaseException:
            _teardown()  # else the id counts as in use
            for folder in set(self.folder.glob("*run-*")) - before:
                shutil.rmtree(folder, ignore_errors=True)
            raise


class _Terminal:
    """Takes the place of the terminal for wandb."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn

    def info(self, msg: str) -> None:
        """Say nothing."""

    def warning(self, msg: str) -> None:
        self._warn(msg)

    error = warning


@contextlib.contextmanager
def _no_secrets() -> Iterator[None]:
    """Mask the command line, which wandb records."""
    words, sys.argv = sys.argv, mask_words(sys.argv)
    try:
        yield
    finally:
        sys.argv = words


def _settings(server: Server | None) -> Any:
    online: dict[str, Any] = {"base_url": server.url, "api_key": server.key} if server else {}
    return _import_wandb().Settings(
        mode="online" if server else "offline",
        silent=True,
        init_timeout=INIT_TIMEOUT_S,
        finish_timeout=_finish_timeout(),
        finish_timeout_raises=True,
        x_graphql_timeout_seconds=5.0,
        x_transaction_log_flush_interval=1.0,  # what a killed run loses, at most
        **online,
    )


def _import_wandb() -> Any:
    """Import wandb by its name: where it is not installed, a type checker would take this folder for it."""
    return import_module("wandb")


def _teardown() -> None:
    if "wandb" in sys.modules:
        with contextlib.suppress(Exception, SystemExit):  # wandb's process may be dead
            bounded(_import_wandb().teardown, GRACE_S)


def _finish_timeout() -> float:
    return float(os.environ.get("WANDB_FINISH_TIMEOUT") or FINISH_TIMEOUT_S)
