"""Opens a run: online if its server answers, else offline, else not at all."""

import logging
import os
from collections.abc import Callable
from typing import Any

from .notices import SYNC, first_line
from .server import Server, probe
from .session import WandbSession

log = logging.getLogger(__name__)


class _Off:
    """A run that takes every call and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


OFF = _Off()


def open_run(session: WandbSession, base_url: str | None, mode: str, options: dict[str, Any]) -> Any:
    """The run, online, else offline, else ``OFF``, which does nothing; a line in the log says which.

    Args:
        session: Opens the run, and sets its own ``is_online`` and ``run_id``.
        base_url: Address of the server; ``None`` for the one that is configured.
        mode: ``offline`` does not ask the server.
        options: Arguments of ``wandb.init``.
    """
    if os.environ.get("WANDB_MODE") == "disabled":
        log.info("Weights & Biases: off, as WANDB_MODE says")
        return OFF
    try:
        options = {"id": session.reserve(), **options}
    except OSError as error:
        return _give_up(session, error)
    server = _find_server(base_url, mode)
    if not server.problem:
        try:
            run = session.open(server, **options)
        except OSError as error:  # of the disk or wandb's process: offline would fail, too
            return _give_up(session, error)
        except Exception as error:  # wandb raises errors of sockets, files, protobuf and its own
            server = Server(server.url, problem=f"{server.url} opens no run ({first_line(error)})")
        else:
            log.info(f"Weights & Biases: online, {run.url}")
            return run
    try:
        run = session.open(None, **options)
    except Exception as error:  # as above
        return _give_up(session, error)
    level = logging.WARNING if server.url else logging.INFO
    log.log(level, f"Weights & Biases: offline, because {server.problem}; upload later: {SYNC}")
    return run


def _find_server(base_url: str | None, mode: str) -> Server:
    if mode == "offline" or os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
        return Server(problem="that is the mode")
    return probe(base_url)


def _give_up(session: WandbSession, error: Exception) -> Any:
    log.warning(
        f"Weights & Biases: nothing is logged there, {first_line(error)}; training goes on, all numbers "
        f"are in metrics.csv, but {SYNC} will not find this run"
    )
    session.close()
    return OFF
