import os
import subprocess
import sys
from pathlib import Path

import pytest
from my_project.__main__ import main as run
from my_project.engine.report import command
from my_project.engine.report.command import MAX_RUNS


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("20260101-000000-first", "20260101-000001-second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.yaml").write_text("a: 1\n")
    return tmp_path / "runs"


def test_the_page_of_a_run_lies_in_its_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "first"]) == 0

    assert capsys.readouterr().out == "runs/20260101-000000-first/report.html\n"
    assert (root / "20260101-000000-first" / "report.html").is_file()


def test_the_page_of_several_lies_beside_them(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "first", "second"]) == 0

    (path,) = root.glob("*.html")
    assert path.name == "report-20260101-000000-first-20260101-000001-second.html"
    assert capsys.readouterr().out == f"runs/{path.name}\n"


@pytest.mark.usefixtures("root")
def test_the_page_goes_where_it_is_told() -> None:
    assert run(["report", "first", "second", "--output=both.html", "--no_open"]) == 0

    assert Path("both.html").is_file()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nope"], "expected a run in runs, got 'nope'"),
        (["first", "runs/20260101-000000-first"], "expected different runs"),
        (["first", "--output=nowhere/a.html"], "cannot write nowhere/a.html: No such file"),
        (["first", "--runs=elsewhere"], "expected a run in elsewhere"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], args: list[str], message: str) -> None:
    assert run(["report", *args]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_more_runs_than_can_be_told_apart_are_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"run{number}" for number in range(MAX_RUNS + 1)]
    for name in names:
        (root / name).mkdir()
        (root / name / "config.yaml").touch()

    assert run(["report", *names]) == 2
    assert f"at most {MAX_RUNS} runs" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a browser always has a display")
@pytest.mark.parametrize(("option", "is_opened"), [([], True), (["--no_open"], False)])
def test_a_browser_opens_it_where_there_is_a_display(root: Path, option: list[str], is_opened: bool) -> None:
    code = f"import sys; from {command.__name__} import run; run(['report', *sys.argv[1:]])"
    browser = {"DISPLAY": ":99", "BROWSER": "sh -c 'echo \"$0\" > opened' %s"}

    line = [sys.executable, "-c", code, "first", *option]
    subprocess.run(line, env={**os.environ, **browser}, check=True, capture_output=True, timeout=60)

    assert Path("opened").exists() == is_opened
    if is_opened:
        address = (root / "20260101-000000-first" / "report.html").as_uri()
        assert Path("opened").read_text() == f"{address}\n"
