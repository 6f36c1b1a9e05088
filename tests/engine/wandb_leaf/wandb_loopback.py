"""A server on this machine that answers the client of Weights & Biases, keeps what it gets, fails on demand.

It speaks what wandb 0.31 asks for in a run and in ``wandb sync``, no more; it has no pages.
"""

import base64
import contextlib
import gzip
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast
from urllib.parse import quote, unquote, urlsplit

KEY = "local-" + "k" * 40
ENTITY = "ada"
Json = dict[str, Any]


@dataclass
class RecordedRun:
    """What arrived of one run."""

    run_id: str
    project: str = ""
    attributes: Json = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def history(self) -> list[Json]:
        """One dictionary per logged row; a row that is sent again has its old step, and counts once."""
        rows = [json.loads(line) for line in self.text("wandb-history.jsonl")]
        return list({row["_step"]: row for row in rows}.values())

    @property
    def summary(self) -> Json:
        """The last summary."""
        return json.loads((self.text("wandb-summary.json") or ["{}"])[-1])

    @property
    def console(self) -> str:
        """What the run printed."""
        return "\n".join(self.text("output.log"))

    def text(self, name: str) -> list[str]:
        """Lines of a streamed file."""
        return [line for _, line in sorted(self.lines.get(name, {}).items())]

    def values(self, key: str) -> list[Any]:
        """All logged values of a key."""
        return [row[key] for row in self.history if key in row]


@dataclass
class RecordedArtifact:
    """A table, plot or checkpoint."""

    name: str
    type: str
    digest: str
    is_committed: bool = False
    files: dict[str, bytes] = field(default_factory=dict)


class Loopback:
    """The server; ``with Loopback() as server``.

    Args:
        key: API key that it asks for.
    """

    def __init__(self, key: str = KEY, port: int = 0) -> None:
        self.key, self.port = key, port
        self.runs: dict[str, RecordedRun] = {}
        self.artifacts: list[RecordedArtifact] = []
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.lock = threading.RLock()
        self._faults: list[tuple[str, str]] = []
        self._let_go = threading.Event()
        self._listener: _Listener | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Base URL, with the port that was free."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def run(self) -> RecordedRun:
        """The only run."""
        (run,) = self.runs.values()
        return run

    def start(self) -> None:
        """Listen; after :meth:`stop` on the same port again."""
        self._let_go.clear()
        self._listener = _Listener(self)
        self.port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse what comes and cut what is open, as a killed server does."""
        if self._listener:
            self._let_go.set()
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.cut_connections()
            self._listener = None

    def fail(self, how: str, where: str = "") -> None:
        """Answer by a status code, ``hang``, ``dribble``, ``drop`` or ``garbage``.

        ``where`` is a part of ``METHOD path operation``, such as ``PUT`` or ``UpsertBucket``.
        """
        with self.lock:
            self._faults.append((how, where))

    def heal(self) -> None:
        """Fail no more."""
        with self.lock:
            self._faults.clear()
        self._let_go.set()
        self._let_go = threading.Event()

    def fault_for(self, request: str) -> tuple[str, threading.Event]:
        """The fault that hits a request, or an empty string, and what ends its waiting."""
        with self.lock:
            hits = [how for how, where in self._faults if where in request]
            return (hits or [""])[0], self._let_go

    def run_named(self, run_id: str) -> RecordedRun:
        """A run, made when it is new."""
        return self.runs.setdefault(run_id, RecordedRun(run_id))


# -------------------------------------------------------------------------------- answers to GraphQL


def _viewer(server: Loopback, given: Json) -> Json:
    user = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "ada@example.org", "flags": "{}"}
    return {"viewer": {**user, "teams": {"edges": [{"node": {"name": ENTITY}}]}}}


def _bucket(run: RecordedRun) -> Json:
    return {
        "id": run.run_id,
        "name": run.run_id,
        "displayName": run.attributes.get("displayName"),
        "sweepName": None,
        "historyLineCount": len(run.text("wandb-history.jsonl")),
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "project": {"id": run.project, "name": run.project, "entity": {"id": ENTITY, "name": ENTITY}},
    }


def _upsert_bucket(server: Loopback, given: Json) -> Json:
    run_id = given.get("name") or given["id"]
    is_new = run_id not in server.runs
    run = server.run_named(run_id)
    run.project = given.get("project") or run.project
    run.attributes |= {key: value for key, value in given.items() if value is not None}
    if given.get("config"):
        run.config = {key: value["value"] for key, value in json.loads(given["config"]).items()}
    return {"upsertBucket": {"bucket": _bucket(run), "inserted": is_new}}


def _run_resume_status(server: Loopback, given: Json) -> Json:
    model: Json = {"id": "1", "name": given.get("project"), "entity": {"name": ENTITY}, "bucket": None}
    if run := server.runs.get(given["name"]):
        model["bucket"] = _bucket(run) | {
            "summaryMetrics": json.dumps(run.summary),
            "logLineCount": len(run.text("output.log")),
            "eventsLineCount": len(run.text("wandb-events.jsonl")),
            "historyTail": json.dumps(run.text("wandb-history.jsonl")[-1:]),
            "eventsTail": json.dumps(run.text("wandb-events.jsonl")[-1:]),
            "tags": run.attributes.get("tags") or [],
            "wandbConfig": json.dumps({"t": 1}),  # without it the client takes the run as new
        }
    return {"model": model}


def _create_run_files(server: Loopback, given: Json) -> Json:
    address = f"{server.url}/storage/run/{given['run']}"
    files = [{"name": name, "uploadUrl": f"{address}/{quote(name)}"} for name in given["files"]]
    return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}


def _create_artifact(server: Loopback, given: Json) -> Json:
    made = given["input"]
    name, digest = made["artifactCollectionName"], made["digest"]
    known = [(artifact.name, artifact.digest) for artifact in server.artifacts]
    if (name, digest) not in known:
        known.append((name, digest))
        server.artifacts.append(RecordedArtifact(name, made["artifactTypeName"], digest))
    number = known.index((name, digest))
    state = "COMMITTED" if server.artifacts[number].is_committed else "PENDING"
    answer = {"id": str(number), "state": state, "artifactSequence": {"latestArtifact": None}}
    return {"createArtifact": {"artifact": answer}}


def _artifact_file(server: Loopback, number: str, name: str) -> Json:
    address, key = f"{server.url}/storage/artifact/{number}/{quote(name)}", f"{number}/{name}"
    return {
        "id": key,
        "storagePath": key,
        "uploadUrl": address,
        "uploadHeaders": [],
        "artifact": {"id": number},
    }


def _create_artifact_manifest(server: Loopback, given: Json) -> Json:
    file = _artifact_file(server, given["artifactID"], given["name"])
    return {"createArtifactManifest": {"artifactManifest": {"id": file["id"], "file": file}}}


def _create_artifact_files(server: Loopback, given: Json) -> Json:
    specs = given["input"]["artifactFiles"]
    edges = [{"node": _artifact_file(server, spec["artifactID"], spec["name"])} for spec in specs]
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _commit_artifact(server: Loopback, given: Json) -> Json:
    artifact = server.artifacts[int(given["artifactID"])]
    artifact.is_committed = True
    return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": artifact.digest}}}


GRAPHQL: dict[str, Callable[[Loopback, Json], Json]] = {
    "Viewer": _viewer,
    "UpsertBucket": _upsert_bucket,
    "RunResumeStatus": _run_resume_status,
    "CreateRunFiles": _create_run_files,
    "ArtifactType": lambda server, given: {"project": {"artifact": None}},
    "CreateArtifact": _create_artifact,
    "CreateArtifactManifest": _create_artifact_manifest,
    "CreateArtifactFiles": _create_artifact_files,
    "CommitArtifact": _commit_artifact,
    "ServerFeaturesQuery": lambda server, given: {"serverInfo": {"features": []}},
    "RunStoppedStatus": lambda server, given: {"project": {"run": {"stopped": False}}},
    "OrganizationCoreWeaveOrganizationID": lambda server, given: {"entity": {"organization": None}},
}


# ------------------------------------------------------------------------------------- the HTTP side


def _stream(server: Loopback, run_id: str, body: Json) -> None:
    run = server.run_named(run_id)
    for name, chunk in (body.get("files") or {}).items():
        lines = run.lines.setdefault(name, {})
        lines |= {chunk["offset"] + number: line for number, line in enumerate(chunk["content"])}
    if body.get("complete"):
        run.exit_code = body.get("exitcode")


def _answer(server: Loopback, path: str, operation: str, body: Any) -> tuple[int, Any]:
    if operation:
        if operation not in GRAPHQL:
            server.unknown.append(operation)
            return 200, {"errors": [{"message": f"unknown operation {operation}"}]}
        return 200, {"data": GRAPHQL[operation](server, body.get("variables") or {})}
    if stream := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", path):
        _stream(server, unquote(stream[1]), body)
        return 200, {}
    if stored := re.fullmatch(r"/storage/(run|artifact)/([^/]+)/(.+)", path):
        kind, owner, name = (unquote(part) for part in stored.groups())
        holder = server.run_named(owner) if kind == "run" else server.artifacts[int(owner)]
        holder.files[name] = body
        return 200, {}
    server.unknown.append(path)
    return 404, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        server, raw, path = cast(_Listener, self.server).owner, self._read(), urlsplit(self.path).path
        is_json = "json" in self.headers.get("Content-Type", "") and self.command == "POST"
        body: Any = json.loads(raw) if is_json else raw
        operation = re.search(r"(?:query|mutation)\s+(\w+)", body["query"]) if path == "/graphql" else None
        name = operation[1] if operation else ""
        request = f"{self.command} {path} {name}".rstrip()
        server.requests.append(request)
        how, let_go = server.fault_for(request)
        if how:
            return self._misbehave(how, let_go)
        if not path.startswith("/storage/") and not self._has_key(server.key):
            return self._send(401, {"errors": [{"message": "invalid API key"}]})
        with server.lock:
            try:
                answer = _answer(server, path, name, body)
            except Exception as error:  # a defect of this file must end a test, not be retried for days
                server.unknown.append(f"{request}: {error!r}")
                answer = 400, {}
        self._send(*answer)

    def do_PUT(self) -> None:
        self.do_POST()

    def _read(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _has_key(self, key: str) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode().partition(":")[2] == key

    def _send(self, status: int, answer: Any) -> None:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _misbehave(self, how: str, let_go: threading.Event) -> None:
        if how.isdecimal():
            return self._send(int(how), {"error": f"{how} on demand"})
        if how == "garbage":
            return self._send(200, b"<html>not what you asked for</html>")
        self.close_connection = True
        if how == "dribble":
            self.send_response(200)
            self.end_headers()
            while not let_go.wait(0.3):
                self.wfile.write(b" ")
        elif how == "hang":
            let_go.wait()
        return None  # the connection is cut


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the default of 5, parallel uploads wait for seconds

    def __init__(self, owner: Loopback) -> None:
        self.owner, self.open = owner, set[socket.socket]()
        super().__init__(("127.0.0.1", owner.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that were cut."""

    def cut_connections(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
