"""``make mutants``: change one piece of the project at a time, and see whether its tests notice.

Each mutant is applied to a copy of the project in ``build/demo``, which has all tasks and an environment.
The first test that fails ends its run, and those that are quick without a mutant come first.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).parents[1]))
from mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "build" / "demo"
PYTHON = PROJECT / ".venv" / "bin" / "python"
COPIES = ROOT / "build" / "mutants"
ENGINE = "tests/engine"
LIMIT_S = 600
LEAST = 0.95
NOTICED, MISSED, HANGS = "noticed", "missed", "hangs"
PASSED, FAILED = 0, 1  # pytest's exit status


def main() -> int:
    """Run the mutants; 1 if too few are noticed, or a test fails without any."""
    parser = argparse.ArgumentParser(prog="python tests/mutants/run.py", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants with one of these in their file or reason")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    args = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if _is_chosen(mutant, args.words)]
    projects: SimpleQueue[Path] = SimpleQueue()
    for number in range(args.jobs):
        projects.put(_copy(COPIES / str(number)))

    def run(tests: list[str], mutant: Mutant | None = None) -> tuple[str, float]:
        project, start = projects.get(), time.monotonic()
        try:
            with mutated(project, mutant):
                return run_tests(project, tests), time.monotonic() - start
        finally:
            projects.put(project)

    needed = sorted({path for mutant in chosen for path in mutant.tests})
    num_noticed = 0
    with ThreadPoolExecutor(args.jobs) as pool:
        alone = dict(zip(needed, pool.map(lambda path: run([path]), needed), strict=True))
        seconds = {path: took for path, (outcome, took) in alone.items() if outcome == MISSED}
        broken = [path for path in needed if path not in seconds]
        for path in broken:
            print(f"{path} without a mutant: {alone[path][0]}; it is left out", flush=True)
        tests = [sorted(seconds.keys() & mutant.tests, key=seconds.__getitem__) for mutant in chosen]
        for mutant, (outcome, _) in zip(chosen, pool.map(run, tests, chosen), strict=True):
            num_noticed += outcome in (NOTICED, HANGS)
            print(f"{outcome:8} {mutant.file}: {mutant.why}", flush=True)
    print(f"{num_noticed} of {len(chosen)} noticed, at least {LEAST:.0%} needed")
    return int(bool(broken) or num_noticed < LEAST * len(chosen))


@contextmanager
def mutated(project: Path, mutant: Mutant | None) -> Iterator[None]:
    """Apply a mutant to the project; afterwards the file is as it was, with its time."""
    if mutant is None:
        yield
        return
    path = project / "my_project" / mutant.file
    text, state = path.read_text(encoding="utf-8"), path.stat()
    try:
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def run_tests(project: Path, tests: list[str]) -> str:
    """``missed`` if all tests pass, ``noticed`` if one fails, else what happened; files in this order."""
    calls: dict[bool, list[str]] = {}
    for path in tests:
        calls.setdefault(path.startswith(ENGINE), []).append(path)
    for is_here, paths in calls.items():
        command = [PYTHON, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        if is_here:
            command += [
                f"--config-file={ROOT / ENGINE / 'pytest.ini'}",
                *(str(ROOT / path) for path in paths),
            ]
        else:
            command += paths
        # No bytecode: that of a mutant could pass for that of the original, written in the same second.
        environment = {**os.environ, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            ended = subprocess.run(
                command, cwd=project, env=environment, capture_output=True, timeout=LIMIT_S
            )
        except subprocess.TimeoutExpired:
            return HANGS
        if ended.returncode == FAILED:
            return NOTICED
        if ended.returncode != PASSED:
            return f"status {ended.returncode}"
    return MISSED


def _is_chosen(mutant: Mutant, words: list[str]) -> bool:
    return not words or any(word in mutant.file or word in mutant.why for word in words)


def _copy(project: Path) -> Path:
    shutil.rmtree(project, ignore_errors=True)
    made = {".venv", "data", "runs"}  # by `make init` and trainings
    shutil.copytree(
        PROJECT, project, ignore=lambda folder, names: made & {*names} if Path(folder) == PROJECT else ()
    )
    return project


if __name__ == "__main__":
    sys.exit(main())
