"""A machine that runs out of something ends a run in one line, and nothing that was saved is lost."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import my_project as package
import pytest
import torch
import yaml
from my_project.engine.data import shared_memory
from my_project.engine.errors import InputError
from my_project.engine.errors.shortage import shortage
from support import CONFIG

GREEDY = f"""
import os, torch
from {package.__name__}.model.resnet import ResNet

class Greedy(ResNet):
    def on_train_batch_start(self, batch, batch_idx):
        if self.global_step == 5 and (name := os.environ.get("GREED")):
            if name == "cuda":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ...")
            torch.empty(1 << 50) if name == "torch" else bytearray(1 << 50)
"""
RESUMABLE: dict[str, Any] = {
    **CONFIG,
    "model": {**CONFIG["model"], "class_path": "own.Greedy"},
    "trainer": {"accelerator": "cpu", "max_epochs": 2},
    "data": {"class_path": "Fake", "init_args": {"num_train": 80, "num_test": 8, "batch_size": 16}},
}


@pytest.fixture
def config() -> None:
    Path("own.py").write_text(GREEDY)
    Path("config.yaml").write_text(yaml.safe_dump(RESUMABLE))


def command(*args: str, before: tuple[str, ...] = (), **options: Any) -> subprocess.CompletedProcess[str]:
    words = [*before, sys.executable, "-m", package.__name__, *args]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, **options)


def fit(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return command("fit", "--config=config.yaml", "--name=short", *args, **options)


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that was said, by a command that was refused."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def in_own_mounts(script: str) -> tuple[str, ...]:
    """The begin of a command that sees other mounts; the machine's stay as they are."""
    words = ("unshare", "--mount", "sh", "-c")
    if not shutil.which("unshare") or subprocess.run([*words, script], capture_output=True).returncode:
        pytest.skip("needs the right to mount (root, and unshare of util-linux)")
    return (*words, f'{script} && exec "$@"', "sh")


@pytest.mark.faults
@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("greed", ["torch", "python", "cuda"])
def test_out_of_memory_names_the_batch_size_and_loses_nothing(greed: str) -> None:
    line = error_of(fit(env=os.environ | {"GREED": greed}))

    assert "lower batch_size (--data.init_args.batch_size" in line
    assert greed != "cuda" or "20.00 GiB" in line
    (path,) = Path("runs").glob("*/checkpoints/last.ckpt")
    assert torch.load(path, weights_only=True)["global_step"] == 5
    again = command("fit", "--resume=latest")
    assert again.returncode == 0, again.stderr
    assert torch.load(path, weights_only=True)["global_step"] == 10


@pytest.mark.faults
@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("limit", [40, 56])
def test_too_many_open_files_is_one_line(limit: int) -> None:
    before = "sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh"
    options = "--data.init_args.num_workers=4", "--data.init_args.num_train=2000"

    done = fit(*options, before=before)

    assert done.returncode == 2, done.stderr
    # Torch's own end of the workers may say more, before or after.
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "ulimit -n 4096" in line
    assert "num_workers=0" in line


@pytest.mark.faults
@pytest.mark.usefixtures("config")
def test_one_core_is_enough() -> None:
    core = str(min(os.sched_getaffinity(0)))

    done = fit("--data.init_args.num_workers=2", before=("taskset", "-c", core))

    assert done.returncode == 0, done.stderr


NO_SHM = "; ".join(
    [
        "set -e",
        "mkdir dev",
        "mount -t tmpfs tmpfs dev",
        *(f"touch dev/{name}; mount --bind /dev/{name} dev/{name}" for name in ("null", "urandom", "zero")),
        "mount --move dev /dev",
    ]
)


@pytest.mark.faults
@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("script", ["mount -t tmpfs -o size=16k tmpfs /dev/shm", NO_SHM], ids=["16k", "none"])
def test_too_little_shared_memory_is_one_line_and_is_not_needed_without_workers(script: str) -> None:
    before = in_own_mounts(script)
    shutil.rmtree("dev", ignore_errors=True)

    line = error_of(fit("--data.init_args.num_workers=2", before=before))
    shutil.rmtree("dev", ignore_errors=True)

    assert "of shared memory in /dev/shm for num_workers, got 0.0 MB; give more" in line
    assert fit(before=before).returncode == 0


def test_workers_need_room_for_their_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "PLACE", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    shared_memory.check_shared_memory(1000)

    with pytest.raises(InputError, match=r"expected 1000000.0 MB of shared memory"):
        shared_memory.check_shared_memory(10**12)
    monkeypatch.setattr(shared_memory, "PLACE", tmp_path / "missing")
    with pytest.raises(InputError, match=r"got 0.0 MB"):
        shared_memory.check_shared_memory(1)


def obeying_permissions() -> tuple[str, ...]:
    """The begin of a command that may write only where the bits of the file say so, as root may not."""
    words = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv") or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("needs setpriv of util-linux, or another user than root")
    return words


@pytest.mark.faults
@pytest.mark.usefixtures("config")
def test_a_folder_that_cannot_be_written_is_one_line() -> None:
    before = obeying_permissions()
    assert fit("--trainer.max_epochs=1").returncode == 0
    (run,) = Path("runs").iterdir()
    whole = (run / "checkpoints/last.ckpt").read_bytes()
    for path in (*run.rglob("*"), run):
        path.chmod(0o555 if path.is_dir() else 0o444)

    line = error_of(command("fit", "--resume=latest", "--trainer.max_epochs=2", before=before))
    assert "Permission denied; correct the permissions" in line
    assert (run / "checkpoints/last.ckpt").read_bytes() == whole

    Path("runs").chmod(0o555)
    assert "expected a writable folder, got runs" in error_of(fit(before=before))
    for path in (Path("runs"), run, *run.rglob("*")):
        path.chmod(0o755)


@pytest.mark.faults
@pytest.mark.usefixtures("config")
def test_spaces_and_other_alphabets_in_paths_are_no_fault() -> None:
    place = Path("Größe és 実験")
    place.mkdir()
    for name in ("own.py", "config.yaml"):
        shutil.move(name, place / name)
    for options in (["fit", "--config=config.yaml"], ["fit", "--resume=latest"], ["report", "latest"]):
        done = command(*options, *(["--no_open"] if options[0] == "report" else []), cwd=place)
        assert done.returncode == 0, done.stderr
    done = command("test", f"--run={next(place.glob('runs/*')).resolve()}", cwd=place)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (MemoryError(), "batch_size"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "batch_size"),
        (torch.OutOfMemoryError("HIP out of memory"), "batch_size"),
        (RuntimeError("DataLoader worker (pid 3) is killed by signal: Bus error."), "--shm-size"),
        (RuntimeError("unable to allocate shared memory(shm) for file </torch_1>"), "--shm-size"),
        (OSError(errno.EROFS, "Read-only file system", "runs/x"), "runs/x"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/x"), "runs/x"),
    ],
)
def test_a_shortage_is_a_sentence_with_a_remedy(error: Exception, word: str) -> None:
    try:
        try:
            raise error
        finally:
            raise RuntimeError("what came of it")
    except RuntimeError as later:
        sentence = shortage(later)

    assert sentence is not None
    assert sentence.count("; ") >= 1, "what is lacking; the remedy"
    assert word in sentence


@pytest.mark.parametrize(
    "error",
    [ValueError("out of memory"), OSError(errno.ENOENT, "No such file"), RuntimeError("a defect"), None],
)
def test_what_is_no_shortage_is_not_called_one(error: Exception | None) -> None:
    assert shortage(error) is None
