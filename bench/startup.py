"""(e) CPU seconds until the command line responds."""

import os
import resource
import subprocess
import sys
from statistics import median

from .project import HOME, size
from .ratio import Ratio

NUM_ROUNDS = size(5, smoke=1)
COMMANDS = {
    "import": ["-c", "import pytorch_lightning"],
    "--help": ["-m", "my_project", "--help"],
    "fit --help": ["-m", "my_project", "fit", "--help"],
    "--version": ["-m", "my_project", "--version"],
}


def measure() -> list[Ratio]:
    """User and system seconds of child processes, with all bytecode compiled."""
    for args in COMMANDS.values():
        cpu_seconds(args)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(NUM_ROUNDS):
        for name, args in COMMANDS.items():
            times[name].append(cpu_seconds(args))
    least = times.pop("import")
    return [
        Ratio(
            name=f"(e) `{name}` / `import pytorch_lightning`, CPU seconds",
            values=[a / b for a, b in zip(values, least, strict=True)],
            at_most=1.1 if name == "--help" else None,
            note=f"{median(values):.2f} / {median(least):.2f} s",
        )
        for name, values in times.items()
    ]


def cpu_seconds(args: list[str]) -> float:
    """CPU seconds of a Python process with ``args`` in ``build/bench``."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *args]
    subprocess.run(command, cwd=HOME, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
