"""A self-hosted Weights & Biases server: whether it answers, and the upload of what it does not have yet.

``python -m PACKAGE.engine.wandb check`` asks the server, ``sync [RUNS_FOLDER]`` uploads. Only the address
that was configured is ever contacted.
"""

import argparse
import base64
import configparser
import contextlib
import fcntl
import http.client
import ipaddress
import json
import netrc
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import dropwhile
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..errors import InputError

PROBE_LIMIT_S = 3.0
SYNC_LIMIT_S = 600.0  # for each run
RUN_ID = "run_id"  # file in the folder ``wandb`` of a run, locked as long as the run logs
QUERY = json.dumps({"query": "query Viewer { viewer { username } }"}).encode()
Result = TypeVar("Result")


@dataclass(frozen=True)
class Server:
    """A server, and whether it can be used.

    Attributes:
        url: Base URL without a slash at the end; empty if none is configured.
        key: API key; empty if there is none.
        problem: Why it cannot be used, as the end of a sentence; empty if it can.
    """

    url: str = ""
    key: str = field(default="", repr=False)
    problem: str = ""


def find_server(base_url: str | None = None) -> Server:
    """The server that is configured, and its key; it is not contacted.

    The address is ``base_url``, else ``WANDB_BASE_URL``, else what ``wandb login --host`` stored. The key is
    ``WANDB_API_KEY``, else that of the host in the netrc file.
    """
    url = (base_url or os.environ.get("WANDB_BASE_URL") or _stored_address()).rstrip("/")
    if not url:
        return Server(problem="no server is configured (by WANDB_BASE_URL or wandb login --host ADDRESS)")
    try:
        check_address(url)
    except InputError as error:
        return Server(problem=str(error))
    key = os.environ.get("WANDB_API_KEY") or _stored_key(urlsplit(url).netloc)
    return Server(url, key, "" if key else f"there is no API key for {url} (wandb login --host {url})")


def check_address(url: str) -> None:
    """Check a base URL.

    Raises:
        InputError: It is not a plain address, or holds a password, which would end up in logs and configs.
    """
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", url):
        shown = re.sub(r"//.*@", "//...@", url)
        raise InputError(f"expected the address of a server such as http://127.0.0.1:8080, got {shown!r}")


def probe(base_url: str | None = None) -> Server:
    """The server that is configured, after one question to it, which takes at most 3 s."""
    server = find_server(base_url)
    if server.problem:
        return server
    try:
        return replace(server, problem=bounded(lambda: _ask(server), PROBE_LIMIT_S))
    except TimeoutError:
        return replace(server, problem=f"{server.url} does not answer within {PROBE_LIMIT_S:g} s")


def bounded(call: Callable[[], Result], limit_s: float) -> Result:
    """The result of ``call``, which is abandoned in its thread after ``limit_s`` seconds.

    Raises:
        TimeoutError: It took longer. What ``call`` raises is raised as it is.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # handed over to the thread that waits
            outcome.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = outcome.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError(f"no end after {limit_s:g} s") from None
    if error:
        raise error
    return result


def sync(runs: Path, base_url: str | None = None, limit_s: float = SYNC_LIMIT_S) -> bool:
    """Upload what the server does not have yet of the runs below a folder, and print a line for each.

    Args:
        runs: Folder of all runs, or of one.
        base_url: See ``find_server``.
        limit_s: Seconds that one run may take.

    Returns:
        Whether no upload failed; runs that are still running are skipped.

    Raises:
        InputError: There is no such folder.
    """
    if not runs.is_dir():
        raise InputError(f"no such folder: {runs}; name the folder of the runs")
    parts = list(_parts_to_upload(runs))
    if not parts:
        print(f"nothing to upload in {runs}")
        return True
    was_uploaded = []
    for part in parts:
        # Asked before each: wandb would try an absent server until the time is up.
        if (server := probe(base_url)).problem:
            print(f"stopped, {len(parts) - len(was_uploaded)} not uploaded: {server.problem}")
            return False
        problem = _upload(part, server, limit_s)
        print(f"{part.parent}: {problem or f'uploaded to {server.url}'}", flush=True)
        was_uploaded.append(not problem)
    return all(was_uploaded)


def marker_of(part: Path) -> Path:
    """The file by which wandb notes that ``run-<id>.wandb`` was uploaded."""
    return part.with_name(part.name + ".synced")


def _parts_to_upload(runs: Path) -> Iterator[Path]:
    """The files ``run-<id>.wandb``, one for each start of a run, from the first that was not uploaded.

    Those after it are uploaded again, so that the last one determines summary and state.
    """
    folders = {part.parents[1] for part in runs.glob("**/wandb/*run-*/run-*.wandb")}
    for folder in sorted(folders):
        parts = sorted(folder.glob("*run-*/run-*.wandb"), key=_start_of)
        if not (parts := list(dropwhile(_was_uploaded, parts))):
            continue
        if _is_open(folder / RUN_ID):
            print(f"{folder.parent}: skipped, it is still running")
        else:
            yield from parts


def _was_uploaded(part: Path) -> bool:
    marker = marker_of(part)
    return marker.exists() and marker.stat().st_mtime >= part.stat().st_mtime


def _start_of(part: Path) -> str:
    return part.parent.name.partition("run-")[2]


def _is_open(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or a file system without locks
        return False
    return False


def _upload(part: Path, server: Server, limit_s: float) -> str:
    """Why ``wandb sync`` did not upload a part; empty if it did; its exit status is always 0."""
    folder, marker = part.parents[1].resolve(), marker_of(part)
    marker.unlink(missing_ok=True)
    shutil.rmtree(folder / "logs", ignore_errors=True)  # of earlier uploads
    settings = {
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": server.key,
        "WANDB_MODE": "online",
        "WANDB_ERROR_REPORTING": "false",  # telemetry
        "WANDB_DIR": str(folder.parent),
        "WANDB_DATA_DIR": str(folder / "data"),
        "WANDB_CACHE_DIR": str(folder / "cache"),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", "--include-online", str(part.parent)],
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return f"failed, not done after {limit_s:g} s"
    for trouble in filter(None, map(trouble_in, folder.glob("logs/*.log"))):
        marker.unlink(missing_ok=True)
        return f"failed, {trouble}"
    if marker.exists():
        return ""
    said = [line.removeprefix("wandb: ") for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return f"failed, {said[-1] if said else 'wandb sync gave no reason'}"


def trouble_in(log: Path) -> str:
    """What is missing on the server or on the disk, which wandb notes in its log and nowhere else."""
    text = log.read_text("utf-8", "replace") if log.is_file() else ""
    if "failed to upload" in text:
        return f"the server refused files, see {os.path.relpath(log)}"
    if "failed to save record" in text:
        return f"not all could be written, see {os.path.relpath(log)}"
    return ""


def _ask(server: Server) -> str:
    """Why the server cannot be used; empty if it knows the key."""
    token = base64.b64encode(f"api:{server.key}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/graphql", QUERY, headers)
    try:
        with _opener(server.url).open(request, timeout=PROBE_LIMIT_S) as response:
            viewer = json.loads(response.read())["data"]["viewer"]
    except urllib.error.HTTPError as error:
        error.close()
        refused = error.code in (401, 403)
        return f"{server.url} " + ("refuses the API key" if refused else f"answers with status {error.code}")
    except TimeoutError:
        return f"{server.url} does not answer within {PROBE_LIMIT_S:g} s"
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        said = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
        return f"{server.url} does not answer ({said})"
    except (ValueError, KeyError, TypeError):
        return f"{server.url} does not answer like a Weights & Biases server"
    return "" if viewer else f"{server.url} does not know the API key"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the address that was configured and to no other."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        """Follow no redirect: its status is the answer."""


def _opener(url: str) -> urllib.request.OpenerDirector:
    host = urlsplit(url).hostname or ""
    is_here = host == "localhost"
    with contextlib.suppress(ValueError):
        is_here = is_here or ipaddress.ip_address(host).is_loopback
    # As in wandb, no proxy is used for a server on this machine.
    proxies = [urllib.request.ProxyHandler({})] if is_here else []
    return urllib.request.build_opener(_NoRedirect, *proxies)


def _stored_address() -> str:
    folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    settings = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
        settings.read(Path(folder).expanduser() / "settings")
    return settings.get("default", "base_url", fallback="")


def _stored_key(host: str) -> str:
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        entry = netrc.netrc(path).hosts.get(host)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return ""
    return (entry[2] or "") if entry else ""


def main(args: list[str] | None = None) -> int:
    """Run a command line.

    Returns:
        Exit status: 0; 1 if the server cannot be used or a run was not uploaded; 2 for wrong input.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description="Weights & Biases")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="ask the server that is configured")
    uploading = commands.add_parser("sync", help="upload the runs that the server does not have")
    uploading.add_argument("runs", nargs="?", type=Path, default=Path("runs"), help="folder of the runs")
    given = parser.parse_args(args)
    if given.command == "sync":
        try:
            return 0 if sync(given.runs) else 1
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    server = probe()
    print(
        f"cannot log online: {server.problem}"
        if server.problem
        else f"{server.url} answers and knows the key"
    )
    return 1 if server.problem else 0


if __name__ == "__main__":
    sys.exit(main())
