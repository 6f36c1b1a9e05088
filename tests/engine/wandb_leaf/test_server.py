import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import my_project as package
import pytest
from my_project.engine.errors import InputError
from my_project.engine.wandb import server as module
from my_project.engine.wandb.server import bounded, find_server, main, probe, sync, trouble_in
from wandb_loopback import KEY, Loopback

LIMIT_S = 0.3


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WANDB", "NETRC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(module, "PROBE_LIMIT_S", LIMIT_S)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback() as loopback:
        monkeypatch.setenv("WANDB_BASE_URL", loopback.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield loopback


def make_part(run: str) -> Path:
    """What a run leaves that logged nothing."""
    part = Path("runs", run, "wandb", "offline-run-20260101_000000-abcd1234", "run-abcd1234.wandb")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"nothing that wandb could read")
    return part


def test_check_succeeds_when_the_server_knows_the_key(
    server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out == f"{server.url} answers and knows the key\n"
    assert server.requests == ["POST /graphql Viewer"]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("401", "refuses the API key"),
        ("500", "answers with status 500"),
        ("garbage", "does not answer like a Weights & Biases server"),
        ("drop", "does not answer (Remote end closed connection without response)"),
        ("hang", f"does not answer within {LIMIT_S} s"),
        ("dribble", f"does not answer within {LIMIT_S} s"),
    ],
)
def test_check_fails_and_says_why(
    server: Loopback, fault: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail(fault)

    assert main(["check"]) == 1
    assert capsys.readouterr().out == f"cannot log online: {server.url} {problem}\n"


def test_a_key_that_the_server_does_not_know_is_a_problem(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "local-" + "x" * 40)

    assert probe().problem == f"{server.url} refuses the API key"


def test_an_absent_server_is_a_problem(server: Loopback) -> None:
    server.stop()

    assert probe().problem == f"{server.url} does not answer (Connection refused)"


def test_the_key_is_not_sent_to_where_an_answer_points(server: Loopback) -> None:
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"{server.url}/graphql")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        threading.Thread(target=elsewhere.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{elsewhere.server_address[1]}"

        assert probe(address).problem == f"{address} answers with status 302"
    assert server.requests == []


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert not probe().problem


def test_without_an_address_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)

    assert find_server().url == ""
    assert find_server().problem.startswith("no server is configured")
    assert main(["check"]) == 1


def test_the_nearest_setting_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".config/wandb").mkdir(parents=True)
    Path(".config/wandb/settings").write_text("[default]\nbase_url = http://stored:8080/\n")
    Path(".netrc").write_text(
        "machine stored:8080\n login user\n password of-stored\n"
        "machine given:8080\n login user\n password of-given\n"
        "default login user password of-others\n"
    )
    assert (find_server().url, find_server().key) == ("http://stored:8080", "of-stored")

    monkeypatch.setenv("WANDB_BASE_URL", "https://environment")
    assert find_server().url == "https://environment"
    assert find_server().problem.startswith("there is no API key for https://environment")

    assert find_server("http://given:8080").key == "of-given"
    monkeypatch.setenv("WANDB_API_KEY", "of-environment")
    assert find_server("http://given:8080").key == "of-environment"

    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", "other")
    Path("other").write_text("machine given:8080\n login user\n password of-other-file\n")
    assert find_server("http://given:8080").key == "of-other-file"


@pytest.mark.parametrize("stored", ["", "machine", "\xff", "machine host:1 login"])
def test_a_broken_login_is_none(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".netrc").write_text(stored, encoding="latin-1")
    Path(".config/wandb").mkdir(parents=True)
    Path(".config/wandb/settings").write_text(stored, encoding="latin-1")
    assert find_server().url == ""

    monkeypatch.setenv("WANDB_BASE_URL", "http://host:1")
    assert find_server().key == ""


def test_what_is_no_address_is_not_contacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://ada:secret@host")

    problem = probe().problem
    assert problem.startswith("expected the address of a server")
    assert "secret" not in problem
    assert KEY not in repr(find_server("http://host"))


def test_a_key_is_never_shown(server: Loopback) -> None:
    assert KEY not in repr(probe())


def test_bounded_gives_up_and_passes_on_what_happened() -> None:
    assert bounded(lambda: 3, 1) == 3
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, 1)
    with pytest.raises(TimeoutError, match=r"no end after 0.05 s"):
        bounded(threading.Event().wait, 0.05)


def test_sync_stops_before_an_absent_server(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    make_part("a")
    make_part("b")
    server.stop()

    assert main(["sync"]) == 1
    said = capsys.readouterr().out
    assert said == f"stopped, 2 not uploaded: {server.url} does not answer (Connection refused)\n"


def test_sync_tells_what_it_could_not_upload(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    part = make_part("a")

    assert main(["sync", "runs"]) == 1
    assert capsys.readouterr().out.startswith(f"{part.parent}: failed, ")
    assert not server.runs


def test_sync_without_anything_to_upload_asks_no_server(
    server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    part = make_part("a")
    part.with_name("run-abcd1234.wandb.synced").touch()

    assert main(["sync", "runs"]) == 0
    assert capsys.readouterr().out == "nothing to upload in runs\n"
    assert server.requests == []


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("filestream: request sent", ""),
        ("upload: failed to upload: status: 413", "the server refused files, see own.log"),
        ("writer: failed to save record: file too large", "not all could be written, see own.log"),
    ],
)
def test_what_only_the_log_of_wandb_says_is_found(line: str, trouble: str) -> None:
    assert trouble_in(Path("own.log")) == ""
    Path("own.log").write_text(f"{line}\n")
    assert trouble_in(Path("own.log")) == trouble


def test_sync_needs_a_folder() -> None:
    with pytest.raises(InputError, match="no such folder: nowhere"):
        sync(Path("nowhere"))
    assert main(["sync", "nowhere"]) == 2


def test_check_starts_without_anything_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", f"{package.__name__}.engine.wandb", "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert done.stdout.startswith("cannot log online: no server is configured")
    assert not [name for name in ("torch", "lightning", "numpy", " wandb") if f"{name}\n" in done.stderr]
