import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from my_project.engine.runs import files
from my_project.engine.runs.files import replacing, write_text

HALF = f"""
import os, signal, sys
from pathlib import Path
from {files.__name__} import replacing
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without
with replacing(Path("file")) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), int(sys.argv[1]))
    partial.write_text("new")
"""
OFTEN = f"""
import sys
from pathlib import Path
from {files.__name__} import write_text
for _ in range(200):
    write_text(Path("file"), sys.argv[1] * 100_000)
"""


def names() -> set[str]:
    return {path.name for path in Path().iterdir()}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_leaves_the_old_content_and_hinders_no_later_one(number: signal.Signals) -> None:
    Path("file").write_text("old")
    done = subprocess.run([sys.executable, "-c", HALF, str(int(number))], capture_output=True, timeout=60)

    assert done.returncode != 0
    assert Path("file").read_text() == "old"
    write_text(Path("file"), "newer")
    assert Path("file").read_text() == "newer"
    if number == signal.SIGINT:
        assert names() == {"file"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_content_and_nothing_else(error: type[BaseException]) -> None:
    Path("file").write_text("old")

    def write() -> None:
        with replacing(Path("file")) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()

    assert Path("file").read_text() == "old"
    assert names() == {"file"}


def test_the_block_gets_an_empty_file_and_readers_the_old_one_until_it_ends() -> None:
    Path("file").write_text("old")

    with replacing(Path("file"), on_disk=True) as partial:
        assert partial.read_bytes() == b""
        partial.write_text("new")
        assert Path("file").read_text() == "old"

    assert Path("file").read_text() == "new"
    assert names() == {"file"}


def test_text_is_utf_8_whatever_the_locale() -> None:
    code = (
        "from pathlib import Path\n"
        f"from {files.__name__} import write_text\n"
        "write_text(Path('file'), 'na\\u00efve')"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)

    assert Path("file").read_bytes() == "naïve".encode()


@pytest.mark.parametrize(("mode", "expected"), [(0o666, 0o644), (0o600, 0o600), (0o777, 0o755)])
def test_permissions_are_those_asked_for_less_the_umask(mode: int, expected: int) -> None:
    Path("file").touch(0o640)
    before = os.umask(0o022)
    try:
        write_text(Path("file"), "secret", mode=mode)
    finally:
        os.umask(before)

    assert stat.S_IMODE(Path("file").stat().st_mode) == expected


def test_a_reader_beside_two_writers_sees_whole_contents_alone() -> None:
    write_text(Path("file"), "a" * 100_000)
    writers = [subprocess.Popen([sys.executable, "-c", OFTEN, letter]) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        text = Path("file").read_text()
        assert text in ("a" * 100_000, "b" * 100_000)
        seen.add(text[0])

    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen == {"a", "b"}
    assert names() == {"file"}


def test_a_folder_that_is_missing_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="No such file"):
        write_text(Path("nowhere/file"), "new")
