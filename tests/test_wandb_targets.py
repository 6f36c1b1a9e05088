"""`make wandb-server` and similar targets, with a docker that records its arguments."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TEMPLATE, Render

DOCKER = """\
#!/bin/sh
echo "$*" >> "$FAKE/asked"
case "$1" in
    info) [ ! -e "$FAKE/down" ] ;;
    ps) case "$*" in *--all*) cat "$FAKE/made" ;; *) cat "$FAKE/running" ;; esac 2>/dev/null || true ;;
    run) [ ! -e "$FAKE/port-taken" ] && echo 4f66 | tee "$FAKE/made" "$FAKE/running" ;;
    start) cp "$FAKE/made" "$FAKE/running" ;;
    stop) rm "$FAKE/running" ;;
esac
"""
TOOLS = ("sh", "make", "awk", "cat", "sleep", "cp", "rm", "tee", "find", "mktemp", "ls", "ln")
IMAGE = "wandb/local:0.85.0"

Make = Callable[..., subprocess.CompletedProcess[str]]


class Page(http.server.BaseHTTPRequestHandler):
    """What the server shows."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where a page answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A folder of tools, with a docker that keeps its state beside it."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    (tmp_path / "python3").symlink_to(sys._base_executable)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


@pytest.fixture
def make(render: Render, fake: Path) -> Make:
    """Runs make in a project that has no environment."""

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        settings = {"PATH": str(fake), "FAKE": str(fake), "HOME": str(fake), **env}
        return subprocess.run(
            ["make", "--no-print-directory", *args],
            cwd=render(),
            env=settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def asked(fake: Path) -> list[str]:
    """The arguments of all calls of docker."""
    lines = (fake / "asked").read_text().splitlines() if (fake / "asked").exists() else []
    return [line for line in lines if line.split()[0] not in ("info", "ps")]


def test_first_start_makes_a_container_that_only_this_machine_reaches(
    make: Make, fake: Path, port: int
) -> None:
    done = make("wandb-server", f"WANDB_PORT={port}")

    assert done.returncode == 0, done.stderr
    assert asked(fake) == [
        "run --detach --restart unless-stopped --name my-project-wandb --volume my-project-wandb:/vol "
        f"--publish 127.0.0.1:{port}:8080 {IMAGE}"
    ]
    assert f"http://127.0.0.1:{port} answers." in done.stdout
    assert "licence" in done.stdout
    assert f"    .venv/bin/wandb login --host http://127.0.0.1:{port}\n" in done.stdout


def test_second_start_leaves_it_as_it_is(make: Make, fake: Path, port: int) -> None:
    make("wandb-server", f"WANDB_PORT={port}")
    (fake / "asked").unlink()
    done = make("wandb-server", f"WANDB_PORT={port}")

    assert done.returncode == 0
    assert done.stdout.startswith("The server is already running.\n")
    assert asked(fake) == []


def test_a_stopped_container_is_started_with_its_data(make: Make, fake: Path, port: int) -> None:
    make("wandb-server", f"WANDB_PORT={port}")
    stopped = make("wandb-server-stop")
    assert stopped.stdout == "Stopped. The data stays in the volume my-project-wandb.\n"
    (fake / "asked").unlink()
    done = make("wandb-server", f"WANDB_PORT={port}")

    assert done.returncode == 0
    assert asked(fake) == ["start my-project-wandb"]


def test_a_licence_and_another_image_are_handed_on(make: Make, fake: Path, port: int) -> None:
    make("wandb-server", f"WANDB_PORT={port}", LICENSE="secret", WANDB_IMAGE="wandb/local:9")

    (line,) = asked(fake)
    assert line.endswith(" --env LICENSE wandb/local:9")
    assert "secret" not in line


def test_a_page_that_never_answers_ends_the_wait(make: Make, fake: Path) -> None:
    done = make("wandb-server", "WANDB_PORT=9", WANDB_SERVER_WAIT="2")

    assert done.returncode != 0
    assert (
        "http://127.0.0.1:9 does not answer yet. See what it does: docker logs my-project-wandb"
        in done.stderr
    )
    assert "licence" not in done.stdout


def test_a_container_that_cannot_be_made_ends_it(make: Make, fake: Path, port: int) -> None:
    (fake / "port-taken").touch()
    done = make("wandb-server", f"WANDB_PORT={port}")

    assert done.returncode != 0
    assert "answers" not in done.stdout


@pytest.mark.parametrize("target", ["wandb-server", "wandb-server-stop"])
def test_without_docker_it_says_what_there_is_instead(make: Make, fake: Path, target: str) -> None:
    (fake / "docker").unlink()
    done = make(target)

    assert done.returncode != 0
    assert "This needs docker, which is not here" in done.stderr
    assert "make runs" in done.stderr
    assert "WANDB_BASE_URL" in done.stderr


@pytest.mark.parametrize("target", ["wandb-server", "wandb-server-stop"])
def test_without_its_daemon_it_says_so(make: Make, fake: Path, target: str) -> None:
    (fake / "down").touch()
    done = make(target)

    assert done.returncode != 0
    assert "The docker daemon does not answer" in done.stderr
    assert asked(fake) == []


def test_stop_without_a_server_is_no_error(make: Make, fake: Path) -> None:
    done = make("wandb-server-stop")

    assert (done.returncode, done.stdout) == (0, "No server is running here.\n")
    assert asked(fake) == []


@pytest.fixture
def project(render: Render, tmp_path: Path) -> Path:
    """A project with a fake environment: its python and wandb print their arguments."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("Makefile", "my_project", "pyproject.toml"):
        (project / name).symlink_to(render() / name)
    tools = project / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("python", "wandb"):
        (tools / name).write_text(
            '#!/bin/sh\necho "$0 $*"\n[ "$1" != leet ] || ls "$2"\nexit "${STATUS:-0}"\n'
        )
        (tools / name).chmod(0o755)
    (project / ".venv" / ".ready-dev,sweep").touch()
    return project


@pytest.fixture
def env(bare_path: str) -> dict[str, str]:
    """No uv, and no variables of a make that runs these tests: its children would print their folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return kept | {"PATH": bare_path}


@pytest.mark.parametrize("command", ["check", "sync"])
@pytest.mark.parametrize("status", ["0", "1"])
def test_check_and_sync_tell_by_their_exit_status(
    project: Path, env: dict[str, str], command: str, status: str
) -> None:
    env["STATUS"] = status
    done = subprocess.run(["make", f"wandb-{command}"], cwd=project, env=env, capture_output=True, text=True)

    assert done.stdout.splitlines()[0] == f".venv/bin/python -m my_project.engine.wandb {command}"
    assert (done.returncode == 0) == (status == "0")


def test_runs_needs_a_terminal(project: Path, env: dict[str, str]) -> None:
    done = subprocess.run(
        ["make", "runs"],
        cwd=project,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert done.stderr.startswith("make runs draws in a terminal, and this is not one.\n")


@pytest.mark.parametrize("has_runs", [True, False])
def test_runs_shows_all_runs_in_one_view(project: Path, env: dict[str, str], has_runs: bool) -> None:
    parts = ["offline-run-20260101_000000-aaaaaaaa", "run-20260101_000001-bbbbbbbb"]
    if has_runs:
        for run, part in zip(("first", "sweep/second"), parts, strict=True):
            (project / "runs" / run / "wandb" / part / "files").mkdir(parents=True)
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        ["make", "runs"], cwd=project, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    status = child.wait(timeout=60)
    shown = os.read(ours, 100_000).decode().splitlines()
    os.close(ours)

    if has_runs:
        assert status == 0
        assert shown[0].startswith(".venv/bin/wandb leet ")
        assert " ".join(shown[1:]).split() == parts
        assert not Path(shown[0].split()[-1]).exists()
    else:
        assert status != 0
        assert shown[0] == "No run in runs was logged for Weights & Biases."


def test_scripts_travel_as_they_are(render: Render) -> None:
    scripts = [*TEMPLATE.glob("scripts/*.sh"), *TEMPLATE.glob("*/engine/wandb/*.sh")]
    assert len(scripts) == 3
    for script in scripts:
        name = str(script.relative_to(TEMPLATE)).replace("{{package_name}}", "my_project")
        assert (render() / name).read_text() == script.read_text()
        subprocess.run(["sh", "-n", str(script)], check=True)
