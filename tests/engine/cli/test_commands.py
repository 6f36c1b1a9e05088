import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest
from my_project.__main__ import main as run
from my_project.engine.cli import predict


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["fitt"],
            "expected one of fit, validate, test, predict, lr_find, batch_size_find, probe, show_batch, "
            "report, sweep, completion, demo, got 'fitt'",
        ),
        (["--trainer.max_epochs=3"], "expected a command before --trainer.max_epochs=3, such as fit"),
        (["fit"], "give a config: --config configs/digits.yaml"),
        (["completion", "fish"], "expected completion bash or completion zsh"),
    ],
)
def test_bad_commands_are_one_line(capsys: pytest.CaptureFixture[str], args: list[str], message: str) -> None:
    assert run(args) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_defects_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(args: Any) -> int:
        raise ValueError("a defect")

    monkeypatch.setattr(predict, "run", broken)

    with pytest.raises(ValueError, match="a defect"):
        run(["predict"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("my-tool fi", ["fit"]),
        ("my-tool fit --trainer.max_e", ["--trainer.max_epochs"]),
        ("my-tool predict --out", ["--output"]),
        ("my-tool fit --config small", ["small.yaml"]),
    ],
)
def test_completion_knows_commands_options_and_files(
    capsys: pytest.CaptureFixture[str], line: str, expected: list[str]
) -> None:
    Path("small.yaml").touch()
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    words = line.split()
    function = script.partition("(")[0]
    probe = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; {function}; "
    show = 'echo "${COMPREPLY[*]}"'

    done = subprocess.run(["bash", "-c", script + probe + show], capture_output=True, text=True, timeout=10)

    assert done.stderr == ""
    assert done.stdout.split() == expected


def test_nothing_of_a_command_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [list(logging.getLogger(name).handlers) for name in ("pytorch_lightning", "py.warnings")]
    run(["fit", "--config", "nowhere.yaml"])

    assert [list(logging.getLogger(name).handlers) for name in ("pytorch_lightning", "py.warnings")] == before
