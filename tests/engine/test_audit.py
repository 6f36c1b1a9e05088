"""``make audit`` says what is known, and one line where nothing can be known."""

import shutil
import subprocess
import sys
from pathlib import Path

import my_project as package
import pytest

MAKEFILE = Path(package.__file__).parents[1] / "Makefile"
SKIPPED = "torch  Dependency not found on PyPI and could not be audited: torch (2.9+cpu)"


def audit(answer: str, status: int, num_packages: int = 3) -> subprocess.CompletedProcess[str]:
    """Run it where ``uv`` gives ``answer``, in an environment of some packages."""
    for name in range(num_packages):
        Path(f"site/package{name}.dist-info").mkdir(parents=True, exist_ok=True)
    Path(".venv/bin").mkdir(parents=True)
    scripts = {"python": "echo site", "uv": f"cat answer.txt; exit {status}"}
    for name, script in scripts.items():
        Path(".venv/bin", name).write_text(f"#!/bin/sh\n{script}\n")
        Path(".venv/bin", name).chmod(0o755)
    Path("answer.txt").write_text(answer)
    pretend_it_is_installed()
    own = ["VENV=.venv", "EXTRAS=dev", "UV=.venv/bin/uv"]  # not those with which make runs this test
    words = ["make", "--no-print-directory", "-f", str(MAKEFILE), "audit", *own]
    return subprocess.run(words, capture_output=True, text=True, timeout=30)


def pretend_it_is_installed() -> None:
    Path("pyproject.toml").touch()
    Path(".venv/.ready-dev").touch()


def test_what_is_known_is_said() -> None:
    done = audit("Found 1 known vulnerability in 1 package\nName Version ID\npillow 1.0 CVE-1\n", 1)

    assert done.returncode == 2, "make's status of a failure"
    assert "pillow 1.0 CVE-1" in done.stdout


def test_nothing_found_is_a_success_and_says_what_was_not_asked() -> None:
    done = audit(f"No known vulnerabilities found\n{SKIPPED}\n", 0)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "No known vulnerabilities found",
        "1 of 3 packages are not on the index",
    ]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("error: Failed to fetch: client error (Connect)\nCaused by: dns error\n", 2),
        ("Traceback ...\nrequests.exceptions.ConnectionError: Max retries exceeded\n", 1),
        ("", 124),
        (f"No known vulnerabilities found\n{SKIPPED}\n{SKIPPED}\n", 0),
    ],
    ids=["no tool", "no answer", "too late", "an index that knows nothing"],
)
def test_no_answer_is_one_line_and_no_success(answer: str, status: int) -> None:
    done = audit(answer, status)

    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert line.startswith("error: expected an answer of the package index about 3 packages, got none")


@pytest.mark.faults
def test_without_a_network_it_ends_soon() -> None:
    words = ["unshare", "--net", "true"]
    if not shutil.which("unshare") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs the right to take the network away (root, and unshare of util-linux)")
    if not (uv := shutil.which("uv")):
        pytest.skip("needs uv")
    Path(".venv/bin").mkdir(parents=True)
    Path(".venv/bin/python").symlink_to(sys.executable)
    pretend_it_is_installed()
    words = ["unshare", "--net", "make", "-f", str(MAKEFILE), "audit", "VENV=.venv", "EXTRAS=dev", f"UV={uv}"]

    done = subprocess.run(words, capture_output=True, text=True, timeout=120)

    assert done.returncode == 2
    assert "go online, then make audit again" in done.stderr
